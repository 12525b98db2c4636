"""Workers that die, hang or get a signal."""

import json
import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

from helpers import newest
from kerasmlp.checkpoints import files
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
