"""What a training is spread over: nothing, the devices of a process, or the processes of a cluster."""

import contextlib
import dataclasses
import functools
import signal
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasmlp import loops, spread
from kerasmlp.cluster import Cluster
from kerasmlp.hooks import Logs, TrainingData
from kerasmlp.interruption import Interrupted, Interruption, handled

STEPS_BETWEEN_SIGNALS = 50
"""After so many steps, and then after the execution, all processes learn of a signal to one of them."""


@dataclasses.dataclass(frozen=True, eq=False)
class Distribution:
    """What a training is spread over; without arguments, nothing but this process.

    Attributes:
        strategy: its replicas take part in each step; None for the plain loops.
        cluster: of which this process is one; None if it is alone.
    """

    strategy: tf.distribute.Strategy | None = None
    cluster: Cluster | None = None

    @property
    def replicas(self) -> int:
        """How many slices a batch is cut into."""
        return 1 if self.strategy is None else int(self.strategy.num_replicas_in_sync)

    @property
    def worker(self) -> int:
        """The number of this process, from 0, the chief's."""
        return 0 if self.cluster is None else self.cluster.worker

    @property
    def is_chief(self) -> bool:
        """Whether this is the process that writes files and prints results."""
        return self.worker == 0

    def loop(self, name: str) -> loops.ResumableLoop:
        """Return the built-in loop of that name, with its step spread.

        It begins with the chief's weights, optimizer and step, whatever the other processes have.
        """
        strategy = self.strategy
        if strategy is None:
            return loops.LOOPS[name]

        def loop(
            model: keras.Model,
            train: TrainingData,
            validation: tf.data.Dataset | None,
            epochs: int,
            callbacks: Sequence[keras.callbacks.Callback],
            initial_step: int = 0,
        ) -> loops.History:
            spread.check(model)
            loops.build(model, train)
            step = spread.train_step(strategy, train.batch_size)
            with self.naming_the_lost():
                if self.cluster is not None:
                    initial_step = self.exchange(initial_step)[0]
                    self._take_from_chief([*model.variables, *model.optimizer.variables])
                given = (model, train, validation, epochs, callbacks, initial_step)
                if name == "fit":
                    with spread.as_train_step(model, step):
                        return loops.fit(*given)
                return loops.traced(step)(*given)

        return loop

    def exchange(self, value: int) -> list[int]:
        """Return what each process gave for `value`; they all have to call this, in the same order."""
        if self.cluster is None:
            return [value]
        workers = len(self.cluster.tasks)
        own = tf.one_hot(self.worker, workers, tf.constant(value, tf.int64), dtype=tf.int64)
        return [int(each) for each in self._sum(own)]

    def expect_same(self, value: int, what: str) -> None:
        """Check that each process gives the same value.

        Raises:
            ValueError: one does not; the message says which, and that it differs in `what`.
        """
        with self.naming_the_lost():
            given = self.exchange(value)
        others = [str(worker) for worker, each in enumerate(given) if each != given[0]]
        if others:
            raise ValueError(
                f"expected all workers to be started with the same {what};"
                f" received others by worker {', '.join(others)} than by worker 0"
            )

    @contextlib.contextmanager
    def naming_the_lost(self) -> Iterator[None]:
        """Let it be a `ConnectionError` when another process is lost, whose message says which."""
        try:
            yield
        except tf.errors.OpError as error:
            if self.cluster is None or isinstance(error, tf.errors.ResourceExhaustedError):
                raise
            raise ConnectionError(f"{self.cluster.lost(str(error))}; training stopped") from error

    @functools.cached_property
    def _sum(self) -> Any:
        """Adds up what each process gives."""
        strategy, cluster = self.strategy, self.cluster
        assert strategy is not None and cluster is not None
        local = self.replicas // len(cluster.tasks)  # the first of those that a process has gives

        def given(value: tf.Tensor) -> tf.Tensor:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return tf.where(replica % local == 0, value, tf.zeros_like(value))

        def total(value: tf.Tensor) -> tf.Tensor:
            values = strategy.run(given, args=(value,))
            return strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

        return tf.function(total, autograph=False)

    def _take_from_chief(self, variables: Iterable[Any]) -> None:
        """Set the variables, in each process, to what they are in the chief's."""
        by_dtype: dict[str, list[Any]] = {}
        for variable in variables:
            by_dtype.setdefault(variable.dtype, []).append(variable)
        for alike in by_dtype.values():
            own = spread.packed(alike)
            taken = self._sum(own if self.is_chief else tf.zeros_like(own))
            values = spread.unpacked(taken, [tuple(variable.shape) for variable in alike])
            for variable, value in zip(alike, values, strict=True):
                variable.assign(value)


def distribution(strategy: str, logical_cpus: int = 1) -> Distribution:
    """Return what a training is spread over.

    To be called before TensorFlow is used, and with `multiworker` once in the life of a process. That
    waits for the other workers.

    Args:
        strategy: `none`; `mirrored`, over all GPUs of this process, or else its CPU; `multiworker`, over
            the processes of the cluster that the environment describes.
        logical_cpus: what `mirrored` splits the CPU into; then no GPU is used.

    Raises:
        ValueError: there is no cluster, or it is not described as it should be; or TensorFlow has been
            used already.
    """
    if strategy == "none":
        return Distribution()
    if strategy == "multiworker":
        cluster = Cluster.from_environment()
        # While TensorFlow waits, for long maybe, Python would not hear of Ctrl-C.
        with handled(signal.SIG_DFL, signal.SIGINT):
            workers = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=cluster.resolver)
        return Distribution(workers, cluster)
    if logical_cpus == 1:
        return Distribution(tf.distribute.MirroredStrategy())
    (cpu,) = tf.config.list_physical_devices("CPU")
    if len(tf.config.get_logical_device_configuration(cpu) or ()) != logical_cpus:
        parts = [tf.config.LogicalDeviceConfiguration() for _ in range(logical_cpus)]
        try:
            tf.config.set_logical_device_configuration(cpu, parts)
        except RuntimeError:
            raise ValueError(
                "logical CPUs: expected to be made before TensorFlow is used in a process;"
                " it has been used in this one"
            ) from None
    names = [f"CPU:{number}" for number in range(logical_cpus)]
    return Distribution(tf.distribute.MirroredStrategy(names))


class StopTogether(keras.callbacks.Callback):
    """Lets all processes act on a signal, whichever received it, after the same step. First in the list.

    Args:
        spread_over: these processes.
        interruption: knows of a signal to this one.
    """

    def __init__(self, spread_over: Distribution, interruption: Interruption) -> None:
        super().__init__()
        self._spread_over = spread_over
        self._interruption = interruption

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._asked = 0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        times, last = (batch + 1) // STEPS_BETWEEN_SIGNALS, batch + 1 >= self.params["steps"]
        if times == self._asked and not last:
            return
        self._asked = times
        with self._spread_over.naming_the_lost():
            noted = max(self._spread_over.exchange(self._interruption.noted or 0))
        if noted:
            self._interruption.received = noted
            if not self._spread_over.is_chief:  # which saves before it stops
                raise Interrupted(noted, f"worker {self._spread_over.worker}: interrupted")
