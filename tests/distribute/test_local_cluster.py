"""Workers that die, hang or get a signal."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from helpers import newest
from kerasmlp.checkpoints import files
from kerasmlp.distribute import local_cluster
from kerasmlp.runs import run_folder

PATIENCE = 180  # seconds, for what would hang


def first_checkpoint(process, folder, seconds=PATIENCE):
    """Wait for a checkpoint of a run that is being trained."""
    end = time.monotonic() + seconds
    while not list((folder / run_folder.CHECKPOINTS).glob(files.PATTERN)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def process_of(worker, launcher):
    """The process of a worker."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        config = [each for each in environment if each.startswith(b"TF_CONFIG=")]
        numbers = [json.loads(each.partition(b"=")[2])["task"]["index"] for each in config]
        if parent == launcher.pid and numbers == [worker]:
            return int(entry.name)
    raise AssertionError(f"no process of worker {worker}")


def run_as_workers(program, *arguments, workers=2, patience=60.0):
    """Run a program in each worker; it has its number as `worker`. Return the status of the cluster."""
    start = 'import json, os, signal, sys, time; worker = json.loads(os.environ["TF_CONFIG"])'
    program = f'{start}["task"]["index"]\n{program}'
    return local_cluster.run_workers(
        [sys.executable, "-c", program, *map(str, arguments)], workers, patience
    )


def test_the_chief_prints_and_of_the_others_the_errors(capfd):
    program = """
assert os.getsid(0) == os.getpid(), "Ctrl-C comes to the launcher alone"
print("result", worker)
print("note", worker, file=sys.stderr)
print(f"worker {worker}: known", file=sys.stderr, flush=True)
sys.stderr.buffer.write(b"\\xff\\n")  # no UTF-8
"""
    assert run_as_workers(program, workers=3) == 0
    printed = capfd.readouterr()
    assert printed.out == "result 0\n"
    errors = ["note 0", "worker 0: known", "\N{REPLACEMENT CHARACTER}"]
    for number in (1, 2):
        lines = ("known", f"note {number}", "\N{REPLACEMENT CHARACTER}")
        errors += [f"worker {number}: {line}" for line in lines]
    assert sorted(printed.err.splitlines()) == sorted(errors)


def test_what_is_printed_after_the_end_of_a_worker_is_printed_too(capfd):
    program = """
if worker and not os.fork():
    time.sleep(0.2)
    print("late", file=sys.stderr)
"""
    assert run_as_workers(program) == 0
    assert capfd.readouterr().err == "worker 1: late\n"


HANGUP = """
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup lets it be ignored
worker and os.kill(os.getpid(), signal.SIGHUP)
"""


@pytest.mark.parametrize(
    "program, status, said",
    [
        ("sys.exit(3 * worker)", 3, []),
        ("sys.exit(3 + worker)", 3, []),
        (
            "worker and os.kill(os.getpid(), signal.SIGKILL)",
            137,
            ["worker 1: its process was killed by SIGKILL"],
        ),
        (
            HANGUP,
            129,
            ["worker 1: its process was killed by SIGHUP"],
        ),
        ("time.sleep(0.3 * (1 - worker)); sys.exit(worker)", 1, []),  # the chief ends in time
    ],
)
def test_the_status_of_a_cluster_is_that_of_the_worker_that_failed(program, status, said, capfd):
    assert run_as_workers(program) == status
    assert capfd.readouterr().err.splitlines() == said


def test_a_worker_that_does_not_end_is_killed(capfd):
    assert run_as_workers("sys.exit(1) if worker else time.sleep(60)", patience=0.1) == 137
    assert capfd.readouterr().err == "worker 0: killed, because it did not end\n"


def test_an_error_of_the_launcher_ends_all_workers():
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    workers = [subprocess.Popen(command) for _ in range(2)]
    with pytest.raises(ZeroDivisionError), local_cluster._killed_at_the_end(workers):
        raise ZeroDivisionError
    assert [worker.returncode for worker in workers] == [-signal.SIGKILL] * 2


def test_a_signal_comes_to_all_workers(tmp_path):
    program = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7 + worker))
open(os.path.join(sys.argv[1], str(worker)), "w").close()
time.sleep(60)
"""

    def interrupt():
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt).start()
    assert run_as_workers(program, tmp_path) == 7


LONG = ("--epochs", "400", "--checkpoint-every", "50steps", "--loop", "graph")


@pytest.mark.thorough
@pytest.mark.parametrize("victim", [0, 1, 2])
def test_after_the_death_of_a_worker_the_run_ends_where_it_would_have(cluster, victim):
    flags = ("--epochs", "20", "--checkpoint-every", "20steps", "--loop", "graph")
    launcher = cluster.start(3, "killed", *flags)
    first_checkpoint(launcher, cluster.logs / "killed")
    time.sleep(random.Random(victim).uniform(0, 2))
    os.kill(process_of(victim, launcher), signal.SIGKILL)
    _, stderr = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == (1 if victim else 137), stderr
    assert f"worker {victim}: its process was killed by SIGKILL" in stderr
    said = rf"error: worker {victim} \(127\.0\.0\.1:\d+\).* has died, or cannot be reached"
    assert re.search(said, stderr), stderr
    assert "Traceback" not in stderr
    assert newest(cluster.logs / "killed").state["step"] < 20 * 72
    assert cluster.run(0, "alone", "--no-jit-compile", "--epochs", "20").returncode == 0
    done = cluster.run(2, "killed", "--resume")
    assert done.returncode == 0, done.stderr
    cluster.assert_alike("killed", "alone")


@pytest.mark.thorough
@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_that_hangs_is_named(cluster, victim):
    launcher = cluster.start(2, "hung", *LONG)
    first_checkpoint(launcher, cluster.logs / "hung")
    os.kill(process_of(victim, launcher), signal.SIGSTOP)
    _, stderr = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == (1 if victim else 137)
    said = rf"error: worker {victim} \(127\.0\.0\.1:\d+\) gives no sign of life"
    assert re.search(said, stderr), stderr


@pytest.mark.thorough
def test_sigterm_stops_all_workers_after_the_same_step_and_saves(cluster):
    launcher = cluster.start(2, "stopped", *LONG)
    first_checkpoint(launcher, cluster.logs / "stopped")
    launcher.send_signal(signal.SIGTERM)
    _, stderr = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 143, stderr
    assert "error" not in stderr
    (step,) = re.findall(r"interrupted after step ([\d,]+); to resume", stderr)
    assert newest(cluster.logs / "stopped").state["step"] == int(step.replace(",", ""))
