"""Loops that are distributed over devices and processes end where one process ends."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from kerasmlp import train as command
from kerasmlp.distribute.cluster import free_addresses, tf_config
from workers import Cluster

PATIENCE = 180  # seconds, for what would hang


SPREAD = ("--batch-size", "97", "--epochs", "2", "--validation-size", "50")
ONE = ("--no-jit-compile", *SPREAD)


@pytest.fixture
def noise(tmp_path):
    """The path of 450 images. Without 50 for validation, the last of five batches has 12."""
    random = np.random.default_rng(1)
    images, labels = random.integers(256, size=(450, 28, 28), dtype=np.uint8), np.arange(450) % 10
    path = tmp_path / "noise.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:60], y_test=labels[:60])
    return path


@pytest.mark.thorough
@pytest.mark.parametrize(
    "workers, flags",
    [
        (2, ("--loop", "graph")),
        (3, ("--loop", "graph")),
        (2, ("--loop", "fit")),
        (0, ("--strategy", "mirrored", "--logical-cpus", "2")),
    ],
    ids=["graph, 2 workers", "graph, 3 workers", "fit, 2 workers", "fit, 2 logical CPUs"],
)
def test_workers_end_where_one_process_does(cluster, noise, workers, flags, capsys):
    cluster.data = noise
    assert command.main([str(flag) for flag in cluster.command(0, "alone", *ONE)[2:]]) == 0
    alone = capsys.readouterr().out
    spread = cluster.run(workers, "spread", *SPREAD, *flags)
    assert spread.returncode == 0, spread.stderr
    cluster.assert_alike("spread", "alone")
    assert cluster.metrics("spread")["replicas"] == (workers or 2)
    # The chief alone prints and writes.
    assert spread.stdout.splitlines()[-1] == alone.splitlines()[-1]
    assert len(spread.stdout.splitlines()) == 3
    assert len(re.findall("epoch ./2 ", spread.stderr)) == 2
    assert {path.name for path in cluster.logs.iterdir()} == {"alone", "spread"}


def test_workers_go_on_where_one_process_would(cluster, noise, capsys):
    """One process begins the run: of the workers, the chief alone reads its checkpoint."""
    cluster.data = noise
    flags = "--loop graph --no-jit-compile --steps-per-execution 1 --batch-size 97 --validation-size 50"
    for name, epochs in (("alone", 2), ("spread", 1)):
        begun = cluster.command(0, name, *flags.split(), "--summaries", "scalars", "--epochs", epochs)
        assert command.main(list(map(str, begun[2:]))) == 0
        if name == "alone":
            alone = capsys.readouterr().out
    resumed = cluster.run(2, "spread", "--resume", "--epochs", "2")
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming after step 5" in resumed.stderr
    cluster.assert_alike("spread", "alone")
    assert cluster.metrics("spread")["replicas"] == 2
    # The chief alone prints and writes.
    assert resumed.stdout.splitlines()[-1] == alone.splitlines()[-1]
    assert len(resumed.stdout.splitlines()) == 3
    assert len(re.findall("epoch ./2 ", resumed.stderr)) == 1


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


@pytest.mark.thorough
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
        assert "the same settings and data; worker 1 has other settings and data than worker 0" in error
    assert not (cluster.logs / "other").exists()
