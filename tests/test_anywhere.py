"""Commands where a system, a path, a terminal or a home is not as it is on most machines."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import kerasmlp
import photographs
from helpers import finished, python, without_posix
from kerasmlp.runs import run_folder

pytestmark = pytest.mark.thorough

LONG = "a name with spaces, 数字 and ü " + "x" * 170
ALL = {
    "train": "--data mnist5k --epochs 1 --name mine",
    "evaluate": "logs/mine",
    "predict": "logs/mine 7.png",
    "compare": "--data mnist5k --loops fit graph --epochs 1 --repeats 0 --output compared",
}


NOBODY = ("setpriv", "--reuid=nobody", "--clear-groups")
NOBODY += ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
"""Runs a command as another user, who can read root's Python too, and cannot write there."""


def run_all(folder, prefix=(), **environment):
    """Run the commands in `folder`; return what they printed."""
    photographs.plain_seven().save(folder / "7.png")
    for command, flags in ALL.items():
        flags = ("-m", "kerasmlp", command, *flags.split())
        done = python(*flags, prefix=prefix, cwd=folder, **environment)
        assert done.returncode == 0, (command, done.stderr)
        assert "Traceback" not in done.stderr
        yield done


def test_a_system_without_what_windows_has_not(tmp_path):
    """Simulated: the modules and names are taken away, and what `Popen` refuses there is refused."""
    blocked = without_posix()
    for missing in ("import fcntl", "from os import fork", "from signal import SIGKILL"):
        assert "ImportError" in python("-c", missing, **blocked).stderr.replace(
            "ModuleNotFound", "Import"
        )
    _, evaluated, predicted, compared = run_all(tmp_path, **blocked)
    assert "2 of 2 loops agree" in compared.stdout
    assert predicted.stdout.startswith("7.png: 7")
    flags = ["--data", "mnist5k", "--epochs", "1"]
    usual = python("-m", "kerasmlp", "train", *flags, "--name", "usual", cwd=tmp_path)
    assert usual.returncode == 0, usual.stderr
    logs = tmp_path / "logs"
    assert finished(logs / "mine") == finished(logs / "usual")
    metrics = json.loads((logs / "mine/metrics.json").read_text())
    assert f"test accuracy: {metrics['test_accuracy']:f}" in evaluated.stdout

    several = ["--seeds", "2", "--jobs", "2", "--name", "several"]
    done = python("-m", "kerasmlp", "seeds", *flags, *several, cwd=tmp_path, **blocked)
    assert done.returncode == 0, done.stderr
    first, second = json.loads((logs / "several/seeds.json").read_text())["runs"]
    assert first["test_loss"] == metrics["test_loss"] != second["test_loss"]

    shared = ["launch", "--workers", "2", "--", "train", *flags, "--name", "shared"]
    done = python("-m", "kerasmlp", *shared, cwd=tmp_path, **blocked)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((logs / "shared/metrics.json").read_text())
    assert metrics["test_accuracy"] > 0.8


def test_a_long_path_a_terminal_of_ascii_and_no_home(tmp_path):
    folder = tmp_path / LONG
    folder.mkdir()
    path = os.pathsep.join(filter(None, sys.path))
    nowhere = "/dev/null/home"
    hostile = {"PYTHONIOENCODING": "ascii", "HOME": nowhere, "KERAS_HOME": f"{nowhere}/.keras"}
    *_, predicted, _ = run_all(folder, PYTHONPATH=path, LC_ALL="C", PYTHONUTF8="0", **hostile)
    assert predicted.stdout.startswith("7.png: 7")
    assert (folder / "compared/comparison.json").exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root becomes another user, by setpriv"
)
def test_another_user_with_a_home_that_cannot_be_written(tmp_path):
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir(mode=0o555)
    folder.mkdir()
    folder.chmod(0o777)
    path = os.pathsep.join(filter(None, sys.path))
    refused = python("-c", f"open({str(home / 'file')!r}, 'w')", prefix=NOBODY)
    assert "PermissionError" in refused.stderr
    trained, evaluated, predicted, compared = run_all(folder, NOBODY, PYTHONPATH=path, HOME=str(home))
    assert predicted.stdout.startswith("7.png: 7")
    (tested,) = [line for line in trained.stdout.splitlines() if line.startswith("test accuracy")]
    assert tested in evaluated.stdout.splitlines()
    assert "2 of 2 loops agree" in compared.stdout
    assert not list(home.iterdir())
    assert (folder / "logs/mine/model.keras").owner() == "nobody"


def test_a_standard_error_that_is_closed(tmp_path):
    command = f"{sys.executable} -m kerasmlp train --data mnist5k --epochs 1 --name mine 2>&- 0>&-"
    done = subprocess.run(command, shell=True, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    assert "test accuracy: 0." in done.stdout
    assert kerasmlp.load(tmp_path / "logs/mine").built
    command = command.replace("mnist5k", "nothing")
    assert subprocess.run(command, shell=True, cwd=tmp_path).returncode == 2


def test_one_process_trains_a_run_and_a_killed_one_holds_no_lock(tmp_path):
    program = (
        "import pathlib, sys, time; from kerasmlp.runs import run_folder\n"
        "with run_folder.locked(pathlib.Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        refused = pytest.raises(BlockingIOError, match="another process is training this run")
        with refused, run_folder.locked(tmp_path):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
    time.sleep(0.1)
    assert [path.name for path in tmp_path.iterdir()] == [run_folder.LOCK]
    with run_folder.locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())
