"""Loops that are distributed over devices and processes end where one process ends."""

import dataclasses
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from helpers import state
from kerasmlp import train as command
from kerasmlp.data import Batches
from kerasmlp.distribute import cluster as distribute_cluster
from kerasmlp.distribute.cluster import free_addresses, tf_config
from kerasmlp.distribute.strategy import Distribution, distribution
from kerasmlp.loops import LOOPS
from small_models import compiled_dense
from workers import Cluster

PATIENCE = 180  # seconds, for what would hang


def cluster_of(number, worker=0):
    """The cluster of that many workers, in one of them."""
    tasks = tuple(("worker", task) for task in range(number))
    return distribute_cluster.Cluster(None, tasks, tuple(free_addresses(number)), worker)


def test_a_distribution_over_nothing_is_one_process():
    for nothing in (Distribution(), distribution("none")):
        assert (nothing.replicas, nothing.worker, nothing.is_chief) == (1, 0, True)
        assert nothing.exchange(7) == [7]
        assert nothing.loop("fit") is LOOPS["fit"]


def test_a_worker_has_the_number_of_its_process_and_the_first_is_the_chief():
    workers = [Distribution(None, cluster_of(3, worker)) for worker in range(3)]
    assert [(each.worker, each.is_chief) for each in workers] == [(0, True), (1, False), (2, False)]


def test_mirrored_takes_the_one_device_and_splits_it_only_before_it_is_used():
    tf.zeros(())
    assert distribution("mirrored").replicas == 1
    with pytest.raises(ValueError, match="before TensorFlow is used in a process; it has been used"):
        distribution("mirrored", 2)


class Told(Distribution):
    """Hears from all workers what the test tells."""

    told = ()

    def exchange(self, value):
        return [value, *self.told]


def test_workers_with_other_values_than_the_chief_are_named():
    workers = Told()
    for Told.told in [(), (5, 5)]:
        workers.expect_same(5, "data")
    Told.told = (6, 5, 4)
    with pytest.raises(ValueError, match="worker 1, 3 has other data than worker 0") as caught:
        workers.expect_same(5, "data")
    assert str(caught.value).startswith("expected all workers to have the same data;")


def test_the_chief_alone_gives_its_variables():
    """In the sum of a single process, a chief finds its own values, and another worker zeros."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    for worker, found in ((0, [[1.0, 2.0], 3, 4.0]), (1, [[0.0, 0.0], 0, 0.0])):
        variables = [tf.Variable([1.0, 2.0]), tf.Variable(3, dtype=tf.int64), tf.Variable(4.0)]
        lone = dataclasses.replace(cluster_of(1), worker=worker)
        Distribution(strategy, lone)._take_from_chief(variables)
        assert [variable.numpy().tolist() for variable in variables] == found


@pytest.mark.parametrize("loop", ["fit", "graph"])
def test_a_cluster_of_one_worker_trains_as_no_cluster(loop, digits):
    workers = Distribution(tf.distribute.MirroredStrategy(["CPU:0"]), cluster_of(1))
    assert workers.replicas == 1
    assert workers.exchange(2**40) == [2**40]
    images, labels = digits
    ended = []
    for train in (LOOPS[loop], workers.loop(loop)):
        model = compiled_dense()
        model.run_eagerly = True
        history = train(model, Batches(images, labels, 9, seed=1), None, 1, [])
        ended.append([*state(model), *map(np.array, history.values())])
    for one, other in zip(*ended, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


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
