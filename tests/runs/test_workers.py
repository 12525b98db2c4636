"""Seeds that are trained side by side, with real processes and real signals."""

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import process_work
from helpers import cases, finished, python, without_posix
from kerasmlp import kept_programs, seeds as command, train
from kerasmlp.callbacks import Interrupted
from kerasmlp.processes import RemoteError
from kerasmlp.runs import SettingError, workers as module
from kerasmlp.runs.workers import Workers, _Lines, _Progress, _shares, _stop

PATIENCE = 120  # seconds, for what would hang
LONG = "--epochs 60 --batch-size 7 --validation-size 15 --loop graph --no-jit-compile --seeds 2 --seed 4"
LONG += " --summaries scalars"
SAVED = "mine/seed*/checkpoints/step-*"


@pytest.fixture
def workers():
    """Two processes that import no TensorFlow: their calls need none."""
    with Workers(2, start=process_work.without_keras) as started:
        yield started


def test_workers_share_the_cores_and_have_all_threads(workers):
    both = workers.run({"one": process_work.cores, "two": process_work.cores}).values()
    shares = [share for share, _ in both]
    everything = sorted(os.sched_getaffinity(0))
    assert sorted({core for share in shares for core in share}) == everything
    assert sum(map(len, shares)) == max(2, len(everything))
    assert {threads for _, threads in both} == {str(len(everything))}


def test_what_a_worker_compiles_is_kept_for_the_next_command(tmp_path):
    with Workers(1, functools.partial(process_work.that_keeps_programs, tmp_path)) as started:
        started.run({"one": process_work.compiles})
    (program,) = tmp_path.rglob("*.pb")
    kept_programs._remove_damaged(program.parent)
    assert program.read_bytes() == b"a program"


@pytest.mark.parametrize(
    "number, shares",
    [(1, [[1, 3, 5]]), (2, [[1, 5], [3]]), (3, [[1], [3], [5]]), (4, [[1], [3], [5], [1]])],
)
def test_each_core_has_a_process_and_each_process_a_core(number, shares, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda of: {3, 1, 5})
    assert _shares(number) == shares
    monkeypatch.delattr(os, "sched_setaffinity")
    assert _shares(number) == [[]] * number


class Talk:
    """Gives calls to a process, and keeps what it sends."""

    def __init__(self, *calls):
        self.calls, self.sent = [*calls], []

    def receive(self):
        return self.calls.pop(0)

    def send(self, message):
        self.sent.append(message)


def raises(error):
    def call():
        print("begun")
        raise error

    return call


@pytest.fixture
def served(monkeypatch):
    """Serves calls in this process until there are no more; returns what was sent, and which cores."""

    def served(*calls, cores=()):
        taken, talk = [], Talk(*calls)
        monkeypatch.setattr(os, "sched_setaffinity", lambda of, cores: taken.append((of, cores)))
        with pytest.raises(IndexError):
            module.serve(talk, list(cores), contextlib.nullcontext)
        return talk.sent, taken

    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "")
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    return served


def test_a_process_sends_the_lines_the_result_or_the_error_of_a_call(served):
    errors = [ValueError("a"), FileNotFoundError("b"), FloatingPointError("c"), MemoryError("d")]
    interrupted = Interrupted(signal.SIGINT, "interrupted after step 3", "this call alone")
    calls = [functools.partial(process_work.says, "one\n\ntwo"), *map(raises, [*errors, interrupted])]
    sent, _ = served(*calls)
    assert sent == [
        *(("line", "one"), ("line", "two"), ("result", "one\n\ntwo" * 2)),
        *(message for error in errors for message in (("line", "begun"), ("error", error))),
        *(("line", "begun"), ("line", "interrupted after step 3"), ("error", interrupted)),
    ]


def test_any_other_error_ends_the_process():
    talk = Talk(raises(KeyError("e")))
    with pytest.raises(KeyError):
        module.serve(talk, [], contextlib.nullcontext)
    assert talk.sent == [("line", "begun")]


def test_a_process_takes_its_cores_and_keeps_the_number_of_threads(served, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda of: {0, 1, 2})
    assert served(cores=()) == ([], [])
    assert "TF_NUM_INTRAOP_THREADS" not in os.environ
    assert served(cores=[1]) == ([], [(0, [1])])
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "3"
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    served(cores=[1])
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "7"


def test_lines_are_sent_when_they_are_complete():
    talk = Talk()
    lines = _Lines(talk)
    assert [lines.write(text) for text in ("a", "b\nc", "", "\n\nd")] == [1, 3, 0, 3]
    assert talk.sent == [("line", "ab"), ("line", "c")]
    talk.send = lambda line: os.write(-1, b"")  # nobody receives them any more
    assert lines.write("e\n") == 2


class Stops:
    """A process that sends some messages after it was told to end."""

    def __init__(self, *messages):
        self.messages, self.told = [*messages], []

    def terminate(self):
        self.told.append("terminate")

    def kill(self):
        self.told.append("kill")

    def receive(self, timeout):
        if not self.messages:
            raise RemoteError("its process was killed by signal 15")
        return self.messages.pop(0)


def test_processes_that_are_stopped_are_waited_for(monkeypatch, capsys):
    first, second = Stops(("line", "saves"), ("error", None)), Stops(("result", 1), ("line", "ends"))
    monkeypatch.setattr(module, "wait", lambda processes, seconds: processes)
    busy = {first: "seed 1", second: "seed 2"}
    with _Progress(2) as progress:
        _stop(busy, progress)
    assert busy == {}
    assert first.told == second.told == ["terminate", "kill"]
    assert capsys.readouterr().err == "seed 1: saves\nseed 2: ends\n"


def test_what_a_call_prints_is_printed_with_its_name(workers, capsys):
    calls = {f"call {text}": functools.partial(process_work.says, text) for text in "abc"}
    assert workers.run(calls) == {"call a": "aa", "call b": "bb", "call c": "cc"}
    assert sorted(capsys.readouterr().err.splitlines()) == ["call a: a", "call b: b", "call c: c"]


def test_on_a_terminal_a_bar_says_how_many_calls_have_ended(terminal, capsys):
    progress = _Progress(3)
    with progress:
        progress.advance()
        progress.show("seed 1: [a line]")
    error = capsys.readouterr().err
    assert "seed 1: [a line]\n" in error
    assert "1/3" in error
    assert error.rindex("\x1b[?25h") > error.index("\x1b[?25l"), "the cursor is hidden and shown again"


def test_if_one_call_fails_the_others_save(workers, tmp_path, capsys):
    began, saved = tmp_path / "began", tmp_path / "saved"
    calls = {
        "long": functools.partial(process_work.waits_for_a_signal, began, saved),
        "wrong": functools.partial(process_work.fails_once_there_is, began),
    }
    with pytest.raises(SettingError, match=r"^epochs: expected at least 3; received 2$") as caught:
        workers.run(calls)
    assert caught.value.setting == "epochs"
    assert saved.exists()
    assert capsys.readouterr().err == "wrong: failed\nlong: interrupted after step 3\n"


def test_a_process_that_dies_is_named(workers):
    with pytest.raises(RemoteError, match=r"^seed 7: its process was killed by signal 9"):
        workers.run({"seed 7": process_work.dies})


def test_workers_need_nothing_that_windows_has_not(tmp_path):
    program = """
import functools, pathlib, sys
import process_work
from kerasmlp.runs.workers import Workers

began, saved = (pathlib.Path(sys.argv[1], name) for name in ("began", "saved"))
with Workers(2, start=process_work.without_keras) as workers:
    print(sorted(workers.run({name: functools.partial(process_work.says, name) for name in "abc"})))
    long = functools.partial(process_work.waits_for_a_signal, began, saved)
    try:
        workers.run({"long": long, "wrong": functools.partial(process_work.fails_once_there_is, began)})
    except ValueError as error:
        print(error)
"""
    done = python("-c", program, tmp_path, **without_posix())
    assert done.stdout.splitlines() == [
        "['a', 'b', 'c']",
        "epochs: expected at least 3; received 2",
    ], done.stderr
    assert (tmp_path / "saved").exists()
    assert done.stderr.splitlines()[-2:] == ["wrong: failed", "long: interrupted after step 3"]


def seeds(tmp_path, *flags):
    return ["-m", "kerasmlp.seeds", "--logdir", str(tmp_path), *map(str, flags)]


@pytest.mark.thorough
def test_the_results_do_not_depend_on_the_jobs(tmp_path):
    """With layers so large that threads share their sums; without XLA they share none of these."""
    random = np.random.default_rng(1)
    images, labels = random.integers(256, size=(600, 28, 28), dtype=np.uint8), np.arange(600) % 10
    np.savez(tmp_path / "noise.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    flags = ["--data", tmp_path / "noise.npz", "--validation-size", "100", "--epochs", "1"]
    flags += ["--seeds", "2", "--jobs", "2", "--name", "side", "--summaries", "scalars"]
    program = "import sys\nfrom kerasmlp.seeds import main\nassert main(sys.argv[1:]) == 0\n"
    program += "assert 'tensorflow' not in sys.modules\n"
    done = python("-c", program, *seeds(tmp_path, *flags)[2:])
    assert done.returncode == 0, done.stderr
    assert "seed 0: epoch 1/1" in done.stderr
    assert "seed 1: epoch 1/1" in done.stderr
    alone = [*map(str, flags[: flags.index("--seeds")]), *("--seed", "1", "--summaries", "scalars")]
    assert train.main([*alone, "--logdir", str(tmp_path), "--name", "alone"]) == 0
    assert finished(tmp_path / "side/seed1") == finished(tmp_path / "alone")
    side = json.loads((tmp_path / "side/seeds.json").read_text())
    assert side["seeds"] == [0, 1]
    for run, seed in zip(side["runs"], ("seed0", "seed1"), strict=True):
        metrics = json.loads((tmp_path / "side" / seed / "metrics.json").read_text())
        assert run["test_loss"] == metrics["test_loss"]


STUBBED = """
import sys
import process_work
from kerasmlp import cli, seeds
from kerasmlp.runs import repetition

cli.quiet_start = lambda verbose: process_work.without_keras()
repetition._run = process_work.{}
sys.exit(seeds.main(sys.argv[1:]))
"""
"""The command with real processes, which import no TensorFlow and do something else than to train."""


def stubbed(instead):
    return ["-c", STUBBED.format(instead)]


@pytest.fixture
def start(npz, tmp_path):
    """Starts two long runs side by side; returns the command's process, and the numbers of theirs.

    The runs are real ones, or what the processes do `instead`.
    """
    started = []

    def begin(instead=None):
        command = seeds(tmp_path, *LONG.split(), "--data", npz, "--name", "mine", "--jobs", 5)
        command += ["--checkpoint-every", "5steps"]
        if instead:
            command[:2] = stubbed(instead)
        process = subprocess.Popen(
            [sys.executable, *command],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        end = time.monotonic() + PATIENCE
        while not list(tmp_path.glob(SAVED)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.01)
        return process, children(process.pid)

    yield begin
    for process in started:
        process.kill()
        process.wait()


def children(parent):
    """The numbers of the processes that a process has started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(status.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(status.parent.name))
        except OSError:  # it has just ended
            continue
    return found


def ends(number):
    """Whether the process ends in time. What init has not yet waited for has ended."""
    status, end = Path(f"/proc/{number}/stat"), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if ") Z " in status.read_text():
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.thorough
def test_after_one_ctrl_c_all_runs_are_resumed_by_any_number_of_jobs(start, npz, tmp_path):
    process, _ = start()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, stderr
    resume = f"to resume: python -m kerasmlp.seeds --resume --name mine --logdir {tmp_path}"
    assert stderr.splitlines()[-1] == f"interrupted; {resume}"
    assert stderr.count("to resume") == 1
    assert stderr.count("stopping after this step") == 1
    assert ": interrupted after step " in stderr
    assert not (tmp_path / "mine/seeds.json").exists()

    done = python(*seeds(tmp_path, "--resume", "--name", "mine", "--jobs", 1))
    assert done.returncode == 0, done.stderr
    assert "resuming after step" in done.stderr
    whole = python(*seeds(tmp_path, *LONG.split(), "--data", npz, "--name", "whole", "--jobs", 2))
    assert whole.returncode == 0, whole.stderr
    for seed in ("seed4", "seed5"):
        assert finished(tmp_path / "mine" / seed) == finished(tmp_path / "whole" / seed)


@pytest.mark.parametrize("instead", cases(["trains_long", None], default=["trains_long"]))
@pytest.mark.parametrize(
    "signals, status", [([signal.SIGTERM] * 2, 143), ([signal.SIGKILL], -signal.SIGKILL)]
)
def test_no_process_outlives_the_command(start, signals, status, instead):
    process, numbers = start(instead)
    assert len(numbers) == 2  # not five: there are two seeds
    for number in signals:
        process.send_signal(number)
        time.sleep(0.05)  # so that the second one is not merged with the first
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == status, stderr
    assert all(map(ends, numbers))


@pytest.mark.parametrize("instead", cases(["diverges", None], default=["diverges"]))
def test_an_error_of_a_run_is_one_line(instead, npz, tmp_path):
    flags = ("--learning-rate", "1e30", "--name", "mine", "--jobs", 2)
    command = seeds(tmp_path, *LONG.split(), "--data", npz, *flags)
    if instead:
        command[:2] = stubbed(instead)
    done = python(*command, PYTHONPATH=os.pathsep.join(sys.path))
    assert done.returncode == 1, done.stderr
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: ") and "loss" in error
    assert "Traceback" not in done.stderr
    assert ": failed" in done.stderr


def test_there_is_at_least_one_job(npz, tmp_path, capsys):
    assert command.main(seeds(tmp_path, "--data", npz, "--jobs", 0)[2:]) == 2
    assert capsys.readouterr().err == "error: --jobs: expected at least 1; received 0\n"
