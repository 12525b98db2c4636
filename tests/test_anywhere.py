"""Commands where a system, a path, a terminal or a home is not as it is on most machines."""

import os
import signal
import subprocess
import sys
import time

import pytest

import kerasmlp
import photographs
from helpers import python
from kerasmlp.runs import run_folder

pytestmark = pytest.mark.thorough

NOT_EVERYWHERE = ("fcntl", "resource", "pwd", "grp")
"""Modules of Python that Windows does not have."""
LONG = "a name with spaces, 数字 and ü " + "x" * 170
ALL = {
    "train": "--data mnist5k --epochs 1 --name mine",
    "evaluate": "logs/mine",
    "predict": "logs/mine 7.png",
    "compare": "--data mnist5k --loops fit graph --epochs 1 --repeats 0 --output compared",
}


def run_all(folder, **environment):
    """Run the commands in `folder`; return what they printed."""
    photographs.plain_seven().save(folder / "7.png")
    for command, flags in ALL.items():
        done = python("-m", "kerasmlp", command, *flags.split(), cwd=folder, **environment)
        assert done.returncode == 0, (command, done.stderr)
        assert "Traceback" not in done.stderr
        yield done


def test_a_system_without_the_modules_of_posix(tmp_path):
    blocked = f"import sys\nsys.modules.update(dict.fromkeys({NOT_EVERYWHERE}))\n"
    (tmp_path / "sitecustomize.py").write_text(blocked)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    for module in NOT_EVERYWHERE:
        assert "ModuleNotFoundError" in python("-c", f"import {module}", PYTHONPATH=path).stderr
    *_, compared = run_all(tmp_path, PYTHONPATH=path)
    assert "2 of 2 loops agree" in compared.stdout


def test_a_long_path_a_terminal_of_ascii_and_no_home(tmp_path):
    folder = tmp_path / LONG
    folder.mkdir()
    path = os.pathsep.join(filter(None, sys.path))
    nowhere = "/dev/null/home"
    hostile = {"PYTHONIOENCODING": "ascii", "HOME": nowhere, "KERAS_HOME": f"{nowhere}/.keras"}
    *_, predicted, _ = run_all(folder, PYTHONPATH=path, LC_ALL="C", PYTHONUTF8="0", **hostile)
    assert predicted.stdout.startswith("7.png: 7")
    assert (folder / "compared/comparison.json").exists()


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
