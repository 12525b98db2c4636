"""What a training is distributed over: nothing, the devices of this process, or a cluster's workers."""

import contextlib
import dataclasses
import functools
import signal
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

from kerasmlp.callbacks import handled
from kerasmlp.distribute.cluster import Cluster
from kerasmlp.distribute.step import as_train_step, check, distributed, packed, unpacked
from kerasmlp.loops import LOOPS, History, ResumableLoop, Training, build, traced


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A strategy whose replicas share each step, and the cluster of this process; None for neither."""

    strategy: tf.distribute.Strategy | None = None
    cluster: Cluster | None = None

    @property
    def replicas(self) -> int:
        """The number of slices of a batch."""
        return 1 if self.strategy is None else int(self.strategy.num_replicas_in_sync)

    @property
    def worker(self) -> int:
        """The number of this process. The chief is 0."""
        return 0 if self.cluster is None else self.cluster.worker

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the files and prints the results."""
        return self.worker == 0

    def loop(self, name: str) -> ResumableLoop:
        """Return the built-in loop of that name, its step shared by the replicas.

        It starts with the weights, the optimizer and the step of the chief.
        """
        strategy = self.strategy
        if strategy is None:
            return LOOPS[name]

        def run(training: Training) -> History:
            model = training.model
            check(model)
            step = distributed(strategy, training.train.batch_size)
            with self.naming_the_lost():
                if self.cluster is not None:
                    initial_step = self.exchange(training.initial_step)[0]
                    training = dataclasses.replace(training, initial_step=initial_step)
                    # It gets variables with the first step, but of a resumed run the chief has them.
                    if self.exchange(int(model.optimizer.built))[0]:
                        build(model, training.train)
                    self._take_from_chief([*model.variables, *model.optimizer.variables])
                if name == "fit":
                    with as_train_step(model, step):
                        return LOOPS["fit"].run(training)
                return traced(step).run(training)

        return ResumableLoop(run)

    def exchange(self, value: int) -> list[int]:
        """Return the `value` of each process. All processes must call this, in the same order."""
        if self.cluster is None:
            return [value]
        workers = len(self.cluster.tasks)
        own = tf.one_hot(self.worker, workers, tf.constant(value, tf.int64), dtype=tf.int64)
        return [int(each) for each in self._sum(own)]

    def expect_same(self, value: int, what: str) -> None:
        """Check that all processes give the same value.

        Raises:
            ValueError: one does not. The message says which one, and that its `what` differ.
        """
        with self.naming_the_lost():
            given = self.exchange(value)
        others = [str(worker) for worker, each in enumerate(given) if each != given[0]]
        if others:
            raise ValueError(
                f"expected all workers to have the same {what};"
                f" worker {', '.join(others)} has other {what} than worker 0"
            )

    @contextlib.contextmanager
    def naming_the_lost(self) -> Iterator[None]:
        """Turn the loss of another process into a `ConnectionError` that names it."""
        try:
            yield
        except tf.errors.OpError as error:
            if self.cluster is None or isinstance(error, tf.errors.ResourceExhaustedError):
                raise
            raise ConnectionError(f"{self.cluster.lost(str(error))}; training stopped") from error

    @functools.cached_property
    def _sum(self) -> Any:
        """Adds up one value of each process."""
        strategy, cluster = self.strategy, self.cluster
        assert strategy is not None and cluster is not None
        local = self.replicas // len(cluster.tasks)  # only the first replica of a process gives a value

        def given(value: tf.Tensor) -> tf.Tensor:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return tf.where(replica % local == 0, value, tf.zeros_like(value))

        def total(value: tf.Tensor) -> tf.Tensor:
            values = strategy.run(given, args=(value,))
            return strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

        return tf.function(total, autograph=False)

    def _take_from_chief(self, variables: Iterable[Any]) -> None:
        """Set the variables of this process to the values that the chief has."""
        by_dtype: dict[str, list[Any]] = {}
        for variable in variables:
            by_dtype.setdefault(variable.dtype, []).append(variable)
        for alike in by_dtype.values():
            own = packed(alike)
            taken = self._sum(own if self.is_chief else tf.zeros_like(own))
            values = unpacked(taken, [tuple(variable.shape) for variable in alike])
            for variable, value in zip(alike, values, strict=True):
                variable.assign(value)


def distribution(strategy: str, logical_cpus: int = 1) -> Distribution:
    """Return what a training is distributed over.

    Call it before TensorFlow is used. Call it with `multiworker` only once in a process: it then waits
    for the other workers.

    Args:
        strategy: `none`; `mirrored`, over all GPUs of this process, or its CPU; `multiworker`, over the
            workers of the cluster that the environment describes.
        logical_cpus: the number of devices that `mirrored` splits the CPU into. Above 1, no GPU is used.

    Raises:
        ValueError: there is no cluster, or its description is wrong, or its address is taken, or
            TensorFlow has been used.
    """
    if strategy == "none":
        return Distribution()
    if strategy == "multiworker":
        cluster = Cluster.from_environment()
        # TensorFlow may wait for long, and Python does not see Ctrl-C meanwhile.
        with handled(signal.SIG_DFL, signal.SIGINT), _naming_the_port(cluster):
            workers = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=cluster.resolver)
        return Distribution(workers, cluster)
    if logical_cpus == 1:
        return Distribution(tf.distribute.MirroredStrategy())
    _split_cpu(logical_cpus)
    names = [f"CPU:{number}" for number in range(logical_cpus)]
    return Distribution(tf.distribute.MirroredStrategy(names))


@contextlib.contextmanager
def _naming_the_port(cluster: Cluster) -> Iterator[None]:
    """Turn the error of a server that does not start into a `ValueError` that names its address."""
    try:
        yield
    except tf.errors.UnknownError as error:  # all that TensorFlow says of it
        address = cluster.addresses[cluster.worker]
        raise ValueError(
            f"worker {cluster.worker}: expected an address to listen at; received {address},"
            " whose port another process may have"
        ) from error


def _split_cpu(logical_cpus: int) -> None:
    (cpu,) = tf.config.list_physical_devices("CPU")
    if len(tf.config.get_logical_device_configuration(cpu) or ()) == logical_cpus:
        return
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(logical_cpus)]
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError:
        raise ValueError(
            "logical CPUs must be made before TensorFlow is used in a process;"
            " it has been used in this one"
        ) from None
