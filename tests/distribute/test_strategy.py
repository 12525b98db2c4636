"""Loops that are spread over devices and processes end where one process does."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers import newest, python
from kerasmlp import launch, train
from kerasmlp.checkpoints import files
from kerasmlp.comparison.row import Row
from kerasmlp.distribute.cluster import free_addresses, tf_config
from kerasmlp.runs import run_folder

NEAR = 1e-5
PATIENCE = 180  # seconds, for what would hang


def test_slices_of_all_sizes_make_the_step_of_one_device():
    done = python(Path(__file__).with_name("replicas.py"))
    assert done.returncode == 0, done.stderr
    differences = json.loads(done.stdout)
    assert len(differences["ours"]) == 6
    assert max(differences["ours"]) < 1e-6, differences
    # In Keras' own a slice counts as much as one with more examples.
    assert differences["Keras' own"] > 1e-4


class Cluster:
    """Runs the command, as workers or alone."""

    def __init__(self, logs, data="mnist5k"):
        self.logs, self.data = logs, data

    def command(self, workers, name, *flags):
        place = ["--logdir", self.logs, "--name", name]
        given = [] if "--resume" in flags else ["--data", self.data, "--summaries"]
        launch = ["-m", "kerasmlp.launch", "--workers", workers, "--", "train"]
        return [*(launch if workers else ["-m", "kerasmlp.train"]), *given, *place, *flags]

    def run(self, workers, name, *flags):
        return python(*self.command(workers, name, *flags))

    def start(self, workers, name, *flags):
        command = [sys.executable, *map(str, self.command(workers, name, *flags))]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def weights(self, name):
        arrays = newest(self.logs / name).arrays
        return {key: array for key, array in arrays.items() if key.startswith(("model/", "optimizer/"))}

    def metrics(self, name):
        return json.loads((self.logs / name / run_folder.METRICS).read_text())

    def apart(self, name, other):
        """The largest difference of a weight or a variable of the optimizer."""
        one, two = self.weights(name), self.weights(other)
        assert one.keys() == two.keys()
        return max(np.abs(one[key] - two[key]).max() for key in one)

    def assert_alike(self, name, other):
        assert self.apart(name, other) <= NEAR
        for metric in ("test_accuracy", "validation_accuracy", "accuracy", "steps"):
            assert self.metrics(name)[metric] == pytest.approx(self.metrics(other)[metric], abs=1e-9)
        assert self.metrics(name)["test_loss"] == pytest.approx(self.metrics(other)["test_loss"], 1e-5)


@pytest.fixture
def cluster(tmp_path):
    return Cluster(tmp_path / "logs")


ONE = ("--no-jit-compile", "--batch-size", "97", "--epochs", "2")
SPREAD = ("--batch-size", "97", "--epochs", "2")  # 3,600 images: the last batch has 11


@pytest.mark.parametrize(
    "workers, flags",
    [
        (3, ("--loop", "graph")),
        pytest.param(2, ("--loop", "fit"), marks=pytest.mark.thorough),
        pytest.param(0, ("--strategy", "mirrored", "--logical-cpus", "2"), marks=pytest.mark.thorough),
    ],
    ids=["graph, 3 workers", "fit, 2 workers", "fit, 2 logical CPUs"],
)
def test_workers_end_where_one_process_does(cluster, workers, flags):
    alone = cluster.run(0, "alone", *ONE)
    spread = cluster.run(workers, "spread", *SPREAD, *flags)
    assert alone.returncode == spread.returncode == 0, spread.stderr
    cluster.assert_alike("spread", "alone")
    assert cluster.metrics("spread")["replicas"] == (workers or 2)
    # The chief alone prints and writes.
    assert spread.stdout.splitlines()[-1] == alone.stdout.splitlines()[-1]
    assert len(spread.stdout.splitlines()) == 3
    assert len(re.findall("epoch ./2 ", spread.stderr)) == 2
    assert {path.name for path in cluster.logs.iterdir()} == {"alone", "spread"}


@pytest.fixture(scope="module")
def on_mnist(tmp_path_factory, mnist_path):
    """A cluster on all of MNIST, and runs of an epoch of one process."""
    cluster = Cluster(tmp_path_factory.mktemp("mnist") / "logs", mnist_path)
    for batch in (50, 64, 97):
        flags = ("--no-jit-compile", "--epochs", "1", "--batch-size", batch)
        assert cluster.run(0, f"alone{batch}", *flags).returncode == 0
    return cluster


@pytest.mark.mnist
@pytest.mark.thorough
@pytest.mark.parametrize("batch", [50, 64, 97])
@pytest.mark.parametrize("workers", [1, 2, 3, 4, "2 logical CPUs"])
def test_an_epoch_of_mnist_ends_where_one_process_ends(on_mnist, workers, batch):
    name, count = f"{workers}-{batch}", workers if isinstance(workers, int) else 0
    flags = () if count else ("--strategy", "mirrored", "--logical-cpus", "2")
    flags += ("--loop", "graph", "--epochs", "1", "--batch-size", batch)
    done = on_mnist.run(count, name, *flags)
    assert done.returncode == 0, done.stderr
    print(f"{name}: at most {on_mnist.apart(name, f'alone{batch}'):.1e} apart")
    on_mnist.assert_alike(name, f"alone{batch}")


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


def test_sigterm_stops_all_workers_after_the_same_step_and_saves(cluster):
    launcher = cluster.start(2, "stopped", *LONG)
    first_checkpoint(launcher, cluster.logs / "stopped")
    launcher.send_signal(signal.SIGTERM)
    _, stderr = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 143, stderr
    assert "error" not in stderr
    (step,) = re.findall(r"interrupted after step ([\d,]+); to go on", stderr)
    assert newest(cluster.logs / "stopped").state["step"] == int(step.replace(",", ""))


@pytest.mark.parametrize(
    "argv, message",
    [
        ([], "expected a command after --, as in: -- train --loop graph"),
        (["--", "export"], "expected train, the one command that workers can share; received 'export'"),
        (["--workers", "0", "--", "train"], "--workers: expected at least 1; received 0"),
    ],
)
def test_what_cannot_be_launched_is_said_in_a_line(argv, message, capsys):
    assert launch.main(argv) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize(
    "flags, message",
    [
        (("--strategy", "multiworker"), "expected the variable TF_CONFIG or a Slurm job step"),
        (("--strategy", "mirrored", "--loop", "eager"), "--loop: expected fit or graph with --strategy"),
        (("--strategy", "mirrored", "--jit-compile"), "expected --no-jit-compile with --strategy"),
        (("--strategy", "mirrored", "--quantize", "int8"), "--quantize: expected none with --strategy"),
        (("--logical-cpus", "2"), "--logical-cpus: expected 1 without --strategy mirrored"),
        (
            ("--strategy", "multiworker", "--steps-per-execution", "5"),
            "--steps-per-execution: expected 1 with --loop fit and --strategy multiworker; any number"
            " with --loop graph; received 5",
        ),
    ],
)
def test_what_cannot_be_spread_is_said_in_a_line(flags, message, capsys, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert train.main(["--data", "mnist5k", *flags]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and message in error


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"cluster": {"worker": ["127.0.0.1:1"]}}',
        '{"cluster": {"worker": []}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["127.0.0.1:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["127.0.0.1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"ps": ["127.0.0.1:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": "127.0.0.1:1"}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_cluster_that_is_not_described_as_it_should_be(config, capsys, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    assert train.main(["--data", "mnist5k", "--strategy", "multiworker"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: TF_CONFIG: expected {") and error.endswith(
        f"received {config}".strip()
    )


def test_workers_that_were_started_otherwise_are_named(cluster):
    addresses = free_addresses(2)
    processes = []
    for worker in range(2):
        flags = ["--strategy", "multiworker", "--seed", str(worker)]
        command = [sys.executable, *map(str, cluster.command(0, "other", *flags))]
        environment = {**os.environ, "TF_CONFIG": tf_config(addresses, worker)}
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    errors = [process.communicate(timeout=PATIENCE)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2]
    for error in errors:
        assert "the same settings and data; received others by worker 1 than by worker 0" in error
    assert not (cluster.logs / "other").exists()


@pytest.mark.parametrize(
    "spelling, row",
    [
        ("graph+mirrored2", Row("graph+mirrored2", "graph", False, False, None, "mirrored", 2)),
        ("fit+mirrored3@10", Row("fit+mirrored3@10", "fit", False, False, 10, "mirrored", 3)),
        ("fit+multiworker4", Row("fit+multiworker4", "fit", False, False, 1, "multiworker", 4)),
    ],
)
def test_a_row_of_a_comparison_is_spread(spelling, row):
    assert Row.parse(spelling) == row


@pytest.mark.parametrize(
    "spelling", ["eager+mirrored2", "fit+jit+mirrored2", "mine:loop+mirrored2", "fit+multiworker2@5"]
)
def test_a_row_that_cannot_be_spread(spelling):
    with pytest.raises(ValueError, match=r"expected .* received"):
        Row.parse(spelling)
