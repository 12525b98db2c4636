"""A train step that is spread over devices and processes: `tf.distribute` around the loops.

Each replica computes the gradients of its slice of the batch. Their sum is, but for rounding, what one
device would have found, and each process applies it to a model of its own. So model, optimizer and
metrics are plain Keras objects and, after each step, equal in every process: callbacks, checkpoints and
evaluation know nothing of replicas. Keras' `fit`, which cannot train a model that was made under
MultiWorkerMirroredStrategy (keras-team/keras#20585), drives the step as any train step of one's own.
"""

import contextlib
import dataclasses
import functools
import math
import os
import re
import shutil
import signal
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.execution import TrainStep
from kerasmlp.hooks import Logs, TrainingData
from kerasmlp.interruption import Interrupted, Interruption

STEPS_BETWEEN_SIGNALS = 50
"""After so many steps, and then after the execution, all processes learn of a signal to one of them."""
PROBE_SECONDS = 1.0
"""How long a worker is given to accept a connection, when it is asked which one has died."""


@dataclasses.dataclass(frozen=True, eq=False)
class Distribution:
    """What a training is spread over; without arguments, nothing but this process.

    Attributes:
        strategy: its replicas take part in each step; None for the plain loops.
        addresses: of the cluster's processes, host:port, the chief first; one process has none.
        worker: the number of this one among them.
    """

    strategy: Any = None
    addresses: tuple[str, ...] = ()
    worker: int = 0

    @property
    def replicas(self) -> int:
        """How many slices a batch is cut into."""
        return 1 if self.strategy is None else int(self.strategy.num_replicas_in_sync)

    @property
    def workers(self) -> int:
        """How many processes there are."""
        return max(1, len(self.addresses))

    @property
    def is_chief(self) -> bool:
        """Whether this is the process that writes files and prints results."""
        return self.worker == 0

    def loop(self, name: str) -> loops.ResumableLoop:
        """Return the built-in loop of that name, with its step spread.

        It begins with the chief's weights, optimizer and step, whatever the other processes have.
        """
        if self.strategy is None:
            return loops.LOOPS[name]

        def loop(
            model: keras.Model,
            train: TrainingData,
            validation: tf.data.Dataset | None,
            epochs: int,
            callbacks: Sequence[keras.callbacks.Callback],
            initial_step: int = 0,
        ) -> loops.History:
            _check(model)
            loops.build(model, train)
            with self.naming_the_lost():
                if self.workers > 1:
                    initial_step = self.exchange(initial_step)[0]
                    self._take_from_chief([*model.variables, *model.optimizer.variables])
                step = self.train_step(train.batch_size)
                spread = _fitted(step) if name == "fit" else loops.traced(step)
                return spread(model, train, validation, epochs, callbacks, initial_step)

        return loop

    def train_step(self, batch_size: int) -> TrainStep:
        """Return the step of batches of at most `batch_size`: as `loops.train_step`, by all replicas."""

        def train_step(model: keras.Model, x: Any, y: Any, sample_weight: Any = None) -> tf.Tensor:
            part = functools.partial(_part, model, batch_size, x, y, sample_weight)
            with (
                self.strategy.scope()
            ):  # which Keras' fit, that calls this as its step, knows nothing of
                total = self.strategy.reduce(
                    tf.distribute.ReduceOp.SUM, self.strategy.run(part), axis=None
                )
            inputs = tf.nest.map_structure(lambda part: keras.KerasTensor(part.shape, part.dtype), x)
            output = model.compute_output_spec(inputs)
            variables = [tuple(variable.shape) for variable in model.trainable_variables]
            y_pred, *gradients = _unpacked(total, [(batch_size, *output.shape[1:]), *variables])
            y_pred = tf.cast(y_pred[: tf.shape(tf.nest.flatten(x)[0])[0]], output.dtype)
            loss = model.compute_loss(x, y, y_pred, sample_weight, training=True)
            model.optimizer.apply(gradients, model.trainable_variables)
            loops.update_metrics(model, loss, x, y, y_pred, sample_weight)
            return loss

        return train_step

    def exchange(self, value: int) -> list[int]:
        """Return what each process gave for `value`; they all have to call this, in the same order."""
        if self.workers == 1:
            return [value]
        own = tf.one_hot(self.worker, self.workers, tf.constant(value, tf.int64), dtype=tf.int64)
        return [int(each) for each in self._sum(own)]

    def expect_same(self, value: int, what: str) -> None:
        """Check that each process gives the same value.

        Raises:
            ValueError: one does not; the message says which, and that it differs in `what`.
        """
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
            if self.workers == 1 or isinstance(error, tf.errors.ResourceExhaustedError):
                raise
            raise ConnectionError(f"{self._lost(error)}; training stopped") from error

    def _lost(self, error: tf.errors.OpError) -> str:
        """Return who was lost: whom nobody listens for any more, or else whom TensorFlow names."""
        lost = [number for number in range(self.workers) if not self._is_listening(number)]
        how = "has died, or cannot be reached"
        if not lost:
            unhealthy = re.search(r"unhealthy[^:]*:\s*((/job:\w+/replica:\d+/task:\d+\s*)+)", str(error))
            tasks = re.findall(r"/job:(\w+)/replica:\d+/task:(\d+)", unhealthy[1] if unhealthy else "")
            lost = sorted({self._number(job, int(task)) for job, task in tasks})
            if not lost and "CoordinationService/Heartbeat" in str(error):
                lost = [0]  # who keeps the heartbeats
            how = "gives no sign of life"
        if not lost:
            reason = " ".join(error.message.rpartition("\n\n")[2].split())
            return f"the cluster failed: {reason}"
        named = ", ".join(f"worker {number} ({self.addresses[number]})" for number in lost)
        return f"{named} {how}"

    def _number(self, job: str, task: int) -> int:
        """Return the number of a task: a job `chief` comes before the job `worker`."""
        jobs = self.strategy.cluster_resolver.cluster_spec().as_dict()
        return task + (len(jobs.get("chief", ())) if job == "worker" else 0)

    def _is_listening(self, number: int) -> bool:
        if number == self.worker:
            return True
        host, _, port = self.addresses[number].rpartition(":")
        with contextlib.suppress(OSError):
            socket.create_connection((host.strip("[]"), int(port)), PROBE_SECONDS).close()
            return True
        return False

    @functools.cached_property
    def _sum(self) -> Any:
        """Adds up what each process gives."""
        local = self.replicas // self.workers  # replicas that a process has; the first of them gives

        def given(value: tf.Tensor) -> tf.Tensor:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return tf.where(replica % local == 0, value, tf.zeros_like(value))

        def total(value: tf.Tensor) -> tf.Tensor:
            values = self.strategy.run(given, args=(value,))
            return self.strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

        return tf.function(total, autograph=False)

    def _take_from_chief(self, variables: Iterable[Any]) -> None:
        """Set the variables, in each process, to what they are in the chief's."""
        by_dtype: dict[str, list[Any]] = {}
        for variable in variables:
            by_dtype.setdefault(variable.dtype, []).append(variable)
        for alike in by_dtype.values():
            own = _packed(alike)
            taken = self._sum(own if self.is_chief else tf.zeros_like(own))
            values = _unpacked(taken, [tuple(variable.shape) for variable in alike])
            for variable, value in zip(alike, values, strict=True):
                variable.assign(value)


class StopTogether(keras.callbacks.Callback):
    """Lets all processes act on a signal, whichever received it, after the same step. First in the list.

    Args:
        distribution: of these processes.
        interruption: knows of a signal to this one.
    """

    def __init__(self, distribution: Distribution, interruption: Interruption) -> None:
        super().__init__()
        self._distribution = distribution
        self._interruption = interruption

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._asked = 0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        times, last = (batch + 1) // STEPS_BETWEEN_SIGNALS, batch + 1 >= self.params["steps"]
        if times == self._asked and not last:
            return
        self._asked = times
        with self._distribution.naming_the_lost():
            noted = max(self._distribution.exchange(self._interruption.noted or 0))
        if noted:
            self._interruption.received = noted
            if not self._distribution.is_chief:  # which saves before it stops
                raise Interrupted(noted, f"worker {self._distribution.worker}: interrupted")


def distribution(strategy: str, logical_cpus: int = 1) -> Distribution:
    """Return what a training is spread over.

    To be called before TensorFlow is used, and `multiworker` once in the life of a process.

    Args:
        strategy: `none`; `mirrored`, over all GPUs of this process, or else its CPU; `multiworker`, over
            the processes that the variable `TF_CONFIG` names, or else those of the Slurm job step.
        logical_cpus: what `mirrored` splits the CPU into; then no GPU is used.

    Raises:
        ValueError: there is no cluster, or it is not described as it should be; or TensorFlow has been
            used already.
    """
    if strategy == "multiworker":
        return _multiworker()
    if strategy == "none":
        return Distribution()
    if logical_cpus == 1:
        return Distribution(tf.distribute.MirroredStrategy())
    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(logical_cpus)]
    if len(tf.config.get_logical_device_configuration(cpu) or ()) != logical_cpus:
        try:
            tf.config.set_logical_device_configuration(cpu, parts)
        except RuntimeError:
            raise ValueError(
                "logical CPUs: expected to be made before TensorFlow is used in a process;"
                " it has been used in this one"
            ) from None
    return Distribution(
        tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(logical_cpus)])
    )


def _multiworker() -> Distribution:
    name, expected = (
        "TF_CONFIG",
        (
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
            " with the number of this worker as its index"
        ),
    )
    if name not in os.environ:
        name, expected = "SLURM_STEP_NODELIST", "the nodes of a Slurm job step"
    if name not in os.environ:
        raise ValueError(
            "--strategy multiworker: expected the variable TF_CONFIG or a Slurm job step, which name the"
            " workers; received neither (python -m kerasmlp.launch starts workers on this machine)"
        )
    try:
        resolver = _resolver()
        jobs = resolver.cluster_spec().as_dict()
        place = resolver.task_type, int(resolver.task_id)
        tasks = [(job, task) for job in ("chief", "worker") for task in range(len(jobs.get(job, ())))]
        addresses = [jobs[job][task] for job, task in tasks]
        ports = [int(address.rpartition(":")[2]) for address in addresses]
        whole = jobs.keys() <= {"chief", "worker"} and place in tasks and min(ports) > 0
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError):
        whole = False
    if not whole:
        raise ValueError(f"{name}: expected {expected}; received {os.environ[name]}")
    with _ctrl_c_ends_the_process():
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    return Distribution(strategy, tuple(addresses), tasks.index(place))


@contextlib.contextmanager
def _ctrl_c_ends_the_process() -> Iterator[None]:
    """While TensorFlow waits for other workers, for long maybe, Python would not hear of it."""
    if threading.current_thread() is not threading.main_thread():  # which alone may
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _resolver() -> Any:
    """Return what tells the cluster from the environment."""
    resolvers = tf.distribute.cluster_resolver
    if "TF_CONFIG" in os.environ:
        return resolvers.TFConfigClusterResolver()
    if shutil.which("nvidia-smi"):
        return resolvers.SlurmClusterResolver()
    # It would ask for the number of GPUs by that program, and leave out tasks that have none.
    tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
    slurm = resolvers.SlurmClusterResolver(gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False)
    cluster, (job, task) = slurm.cluster_spec(), slurm.get_task_info()
    return resolvers.SimpleClusterResolver(cluster, task_type=job, task_id=task, rpc_layer="grpc")


def _check(model: keras.Model) -> None:
    """Check that the forward pass of `model` changes no variable.

    Raises:
        ValueError: it does.
    """
    if model.non_trainable_variables:
        raise ValueError(
            "--strategy: expected a model whose forward pass changes no variable; received one with"
            f" {model.non_trainable_variables[0].path}, which would depend on how a batch is cut"
        )


def _fitted(step: TrainStep) -> loops.ResumableLoop:
    """Return Keras' own `model.fit` with another train step, in the way of Keras' guides."""

    def loop(
        model: keras.Model,
        train: TrainingData,
        validation: tf.data.Dataset | None,
        epochs: int,
        callbacks: Sequence[keras.callbacks.Callback],
        initial_step: int = 0,
    ) -> loops.History:
        def train_step(data: Any) -> Logs:
            step(model, *keras.utils.unpack_x_y_sample_weight(data))
            return model.get_metrics_result()

        model.train_step = train_step
        try:
            return loops.fit(model, train, validation, epochs, callbacks, initial_step)
        finally:
            del model.train_step
            model.train_function = None

    return loop


def _part(model: keras.Model, batch_size: int, x: Any, y: Any, sample_weight: Any) -> tf.Tensor:
    """Return what this replica adds to the predictions and the gradients of a batch, packed.

    Replica r of n takes the examples from r/n to (r + 1)/n of the batch: as many as the others, or one
    more or less, maybe none. What is returned is always of one size, as exchanges in a loop have to be.
    """
    context = tf.distribute.get_replica_context()
    replica, replicas = tf.cast(context.replica_id_in_sync_group, tf.int32), context.num_replicas_in_sync
    examples = tf.shape(tf.nest.flatten(x)[0])[0]
    begin, end = examples * replica // replicas, examples * (replica + 1) // replicas
    # With none, the gradients of one other example, times 0: a mean over nothing is no number.
    taken = slice(begin, tf.maximum(end, begin + 1))
    x, y = tf.nest.map_structure(lambda each: each[taken], (x, y))
    sample_weight = None if sample_weight is None else sample_weight[taken]
    # Not by what callbacks may have put in place of the method: the loss they want is the batch's.
    compute_loss = functools.partial(type(model).compute_loss, model)
    _, y_pred, gradients = loops.compute_gradients(model, x, y, sample_weight, compute_loss)
    if not tf.is_tensor(y_pred):
        raise ValueError(f"--strategy: expected a model with one output; received {type(y_pred)}")
    # Keras divides a loss by the number of replicas, as if each had as many examples.
    share = tf.cast((end - begin) * replicas, tf.float32) / tf.cast(examples, tf.float32)
    around = [[begin, batch_size - end], *([0, 0] for _ in y_pred.shape[1:])]
    predictions = tf.pad(tf.cast(y_pred[: end - begin], tf.float32), around)
    scaled = [
        tf.zeros(variable.shape) if gradient is None else tf.convert_to_tensor(gradient) * share
        for gradient, variable in zip(gradients, model.trainable_variables, strict=True)
    ]
    # In one piece: a message costs more than its bytes.
    return _packed([predictions, *scaled])


def _packed(tensors: Sequence[Any]) -> tf.Tensor:
    """Return the values of tensors or variables of one type, one after the other, `[values]`."""
    return tf.concat([tf.reshape(tf.convert_to_tensor(each), [-1]) for each in tensors], axis=0)


def _unpacked(flat: tf.Tensor, shapes: Sequence[Any]) -> list[tf.Tensor]:
    """Return tensors of these shapes, one after the other from `flat`."""
    parts = tf.split(flat, [math.prod(shape) for shape in shapes])
    return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
