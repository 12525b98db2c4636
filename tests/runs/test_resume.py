import functools
import json
import os
import shutil
import signal
from pathlib import Path
from typing import get_args

import pytest

from helpers import cases, finished, newest, save_npz
from kerasmlp import train as command
from kerasmlp.callbacks import ProgressLine
from kerasmlp.checkpoints import files
from kerasmlp.runs import run_folder
from kerasmlp.runs.run_settings import SummaryName
from kerasmlp.runs.settings import Settings

FLAGS = (
    "--batch-size 7 --validation-size 0 --epochs 3 --loop graph --no-jit-compile --steps-per-execution 2"
    " --summaries scalars"
)
ALL = ("--summaries", *get_args(SummaryName))
STEPS = 6  # 40 images by 7


@pytest.fixture(scope="module")
def npz(tmp_path_factory, digits):
    return save_npz(tmp_path_factory.mktemp("data"), digits)


@pytest.fixture
def train(npz, tmp_path):
    """Calls the command, for a new run or one to be resumed; returns its exit status."""

    def call(*flags):
        new = [] if "--resume" in flags else ["--data", str(npz), *FLAGS.split()]
        return command.main([*new, "--logdir", str(tmp_path / "logs"), *map(str, flags)])

    return call


@pytest.fixture(scope="module")
def whole(npz, tmp_path_factory):
    """The folder of a run with these flags that was not interrupted; it is trained once."""

    @functools.cache
    def folder(*flags):
        logs = tmp_path_factory.mktemp("logs")
        given = ["--data", npz, *FLAGS.split(), "--logdir", logs, "--name", "mine", *flags]
        assert command.main([*map(str, given)]) == 0
        return logs / "mine"

    return folder


@pytest.fixture
def copied(whole, tmp_path):
    """The same as a copy of one's own, where `train` resumes it by the name `mine`."""
    return lambda *flags: shutil.copytree(whole(*flags), tmp_path / "logs/mine")


@pytest.fixture
def sent(monkeypatch):
    """Sends this process a signal at the end of the given execution, counted from 1."""

    def send(number, execution, *, times=1):
        hook, calls = ProgressLine.on_train_batch_end, iter(range(1, 1000))

        def on_train_batch_end(self, batch, logs=None):
            hook(self, batch, logs)
            if next(calls) == execution:
                for _ in range(times):
                    os.kill(os.getpid(), number)

        monkeypatch.setattr(ProgressLine, "on_train_batch_end", on_train_batch_end)

    return send


@pytest.mark.parametrize(
    "number, status, execution, step, flags",
    [
        (signal.SIGINT, 130, 5, 10, ("--quantize", "int8", *ALL)),
        pytest.param(
            signal.SIGINT, 130, 5, 10, ("--recipe", "accurate", *ALL), marks=pytest.mark.thorough
        ),
        pytest.param(signal.SIGTERM, 143, 6, 12, ALL, marks=pytest.mark.thorough),
    ],
    ids=["within an epoch", "augmented", "at its end"],
)
def test_a_signal_saves_and_the_run_goes_on_as_if_it_had_not_come(
    number, status, execution, step, flags, train, whole, sent, tmp_path, capsys
):
    whole(*flags)
    sent(number, execution)
    assert train("--name", "mine", *flags) == status
    logs, folder = tmp_path / "logs", tmp_path / "logs/mine"
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == (
        f"interrupted after step {step}; to resume: python -m kerasmlp.train --resume --name mine"
        f" --logdir {logs}"
    )
    assert newest(folder).state["step"] == step
    assert not (folder / "metrics.json").exists()
    assert train("--resume", "--name", "mine") == 0
    assert f"resuming after step {step}" in capsys.readouterr().err
    assert finished(folder) == finished(whole(*flags))


def test_a_second_signal_stops_at_once_and_damages_nothing(train, sent, tmp_path, capsys):
    sent(signal.SIGINT, 5, times=2)
    assert train("--name", "mine") == 130
    assert "interrupted; to resume: " in capsys.readouterr().err
    assert newest(tmp_path / "logs/mine").state["step"] == STEPS
    assert train("--resume", "--name", "mine") == 0


@pytest.mark.thorough
def test_a_run_that_was_given_no_name_has_one(train, tmp_path):
    assert train("--epochs", 1) == 0
    (folder,) = (tmp_path / "logs").iterdir()
    assert train("--resume", "--name", folder.name, "--epochs", 2) == 0
    assert newest(folder).state["step"] == 2 * STEPS


@pytest.mark.parametrize("loop", cases(("graph", "eager"), default=("eager",)))
def test_more_epochs_can_be_asked_for_of_another_loop_too(loop, train, whole, copied):
    folder = copied("--epochs", 1)
    assert train("--resume", "--name", "mine", "--epochs", 3, "--loop", loop) == 0
    assert finished(folder) == finished(whole())
    assert json.loads((folder / "config.json").read_text())["epochs"] == 3


def test_a_run_that_never_came_to_a_checkpoint_begins_anew(train, whole, copied):
    folder = copied()
    for path in (folder / "checkpoints").iterdir():
        path.unlink()
    (folder / ".part-metrics.json").write_text("{")
    assert train("--resume", "--name", "mine") == 0
    assert finished(folder) == finished(whole())
    assert not list(folder.rglob(".part-*"))


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--batch-size", "8"], "--batch-size: expected 7, as when the run was begun; received 8"),
        (["--seed", "1"], "--seed: expected 0, as when the run was begun; received 1"),
        (["--hidden-units", "5"], r"--hidden-units: expected (100,)"),
        (["--recipe", "handbook"], "--recipe: expected 'default'"),
        (["--epochs", "2"], "--epochs: expected at least 3, as many as the run has begun; received 2"),
        (
            ["--data", "mnist5k"],
            "--data: expected the data that the run was begun on; received 'mnist5k'",
        ),
    ],
)
def test_what_would_make_it_another_run_is_refused(flags, message, train, copied, tmp_path, capsys):
    copied()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert train("--resume", "--name", "mine", *flags) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: "), error
    assert message in error
    assert len(error.splitlines()) == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_schedule_over_all_epochs_has_no_others(train, tmp_path, capsys):
    assert train("--name", "mine", "--schedule", "cosine", "--epochs", 2) == 0
    assert train("--resume", "--name", "mine", "--epochs", 3) == 2
    assert "--epochs: expected 2, as when the run was begun" in capsys.readouterr().err
    assert train("--resume", "--name", "mine", "--epochs", 2) == 0


def test_one_command_line_begins_a_run_and_resumes_it(npz, whole, sent, tmp_path, capsys):
    logs = tmp_path / "logs"
    flags = ["--data", npz, *FLAGS.split(), "--logdir", logs]
    shutil.copytree(whole(), logs / "whole")
    (logs / "mine/checkpoints").mkdir(parents=True)  # a process was killed before the run had begun
    again = [*map(str, flags), "--name", "mine", "--resume"]
    sent(signal.SIGTERM, 5)
    capsys.readouterr()
    assert command.main(again) == 143
    begins = f"there is no run {logs / 'mine'} yet: it begins now; the newest run is called 'whole'\n"
    assert capsys.readouterr().err.startswith(begins)
    assert newest(logs / "mine").state["step"] == 10
    assert command.main(again) == 0
    assert finished(logs / "mine") == finished(logs / "whole")
    assert command.main(again) == 0  # it has ended, and stays as it is
    assert finished(logs / "mine") == finished(logs / "whole")


def test_resume_needs_a_name(train, capsys):
    assert train("--resume") == 2
    assert "--name: expected the run to resume" in capsys.readouterr().err


def test_a_second_process_on_a_run_is_refused(train, copied, tmp_path, capsys):
    copied()
    with run_folder.locked(tmp_path / "logs/mine"):
        assert train("--resume", "--name", "mine") == 2
    assert "another process is training this run" in capsys.readouterr().err
    assert train("--resume", "--name", "mine") == 0


def test_damaged_checkpoints_are_passed_over_and_none_left_is_an_error(train, whole, copied, capsys):
    folder = copied()
    paths = sorted((folder / "checkpoints").glob("*.npz"))
    assert len(paths) == 3
    for path in paths[1:]:
        path.write_bytes(path.read_bytes()[:-100])
    assert train("--resume", "--name", "mine") == 0
    error = capsys.readouterr().err
    assert error.count("is damaged") == 2
    assert "resuming after step 6 of 18" in error
    assert finished(folder) == finished(whole())
    for path in paths:
        path.write_bytes(b"")
    assert train("--resume", "--name", "mine") == 2
    assert "expected an undamaged checkpoint; all 3 are damaged" in capsys.readouterr().err


def test_a_folder_that_vanishes_ends_the_run_with_a_line(train, sent, monkeypatch, tmp_path, capsys):
    hook = ProgressLine.on_epoch_end

    def on_epoch_end(self, epoch, logs=None):
        hook(self, epoch, logs)
        if epoch == 1:
            (tmp_path / "logs").rename(tmp_path / "elsewhere")

    monkeypatch.setattr(ProgressLine, "on_epoch_end", on_epoch_end)
    assert train("--name", "mine") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert "No such file or directory" in error
    assert newest(tmp_path / "elsewhere/mine").state["step"] == STEPS


EVERY = {"1epoch": [6, 12, 18], "2epochs": [12, 18], "5steps": [6, 10, 16, 18], "60s": [18]}


@pytest.mark.parametrize("every", cases(EVERY, default=("5steps",)))
def test_checkpoints_come_as_often_as_asked(every, train, tmp_path):
    steps = EVERY[every]
    assert train("--name", "mine", "--checkpoint-every", every, "--keep-checkpoints", 9) == 0
    found = sorted((tmp_path / "logs/mine/checkpoints").glob("*.npz"))
    assert [files.read(path).state["step"] for path in found] == steps


def test_settings_come_back_from_their_file(tmp_path):
    settings = Settings(recipe="handbook", name="x", logdir=Path("a/b"), hidden_units=(3, 4))
    run_folder.write_json(tmp_path / "config.json", settings)
    assert Settings.read(tmp_path / "config.json") == settings


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"epochs": "3"}', '{"epochs": true}', '{"nonsense": 1}', '{"epochs": 0}', "[" * 100_000],
)
def test_a_file_that_holds_no_settings_is_named(text, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"config\.json: "):
        Settings.read(path)
