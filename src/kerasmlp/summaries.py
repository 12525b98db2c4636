"""What TensorBoard shows of a run."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from kerasmlp.callbacks import BatchLosses, Stopwatch
from kerasmlp.hooks import Logs


class TensorBoard(keras.callbacks.Callback):
    """Writes event files into `train/` and `validation/` of the run folder, at the optimizer's step.

    Keras' own callback counts executions instead of steps, starts again at 0 when a run goes on, and
    draws no graph of a subclassed model. The events are TensorBoard's own, made with NumPy: an epoch's
    cost 8 ms where `tf.summary` takes 70. The README's glossary says what each tag means.

    Args:
        folder: of the run.
        inputs: the spec of a batch of the model's inputs, for the graph.
        stopwatch: measures the examples a second.
        batch_losses: knows the loss of each step.
        every: steps from one batch loss written to the next.
    """

    def __init__(
        self,
        folder: Path,
        inputs: tf.TensorSpec,
        stopwatch: Stopwatch,
        batch_losses: BatchLosses,
        every: int = 100,
    ) -> None:
        super().__init__()
        self._folder = folder
        self._inputs = inputs
        self._stopwatch = stopwatch
        self._batch_losses = batch_losses
        self._every = every
        self._writers: dict[str, Any] = {}

    def _add(self, sub_run: str, step: int, **content: Any) -> None:
        """Add an event to a sub-run, whose event file is made at its first."""
        with _os_errors(self._folder / sub_run):
            if sub_run not in self._writers:
                self._writers[sub_run] = writer = EventFileWriter(str(self._folder / sub_run))
                if self._initial_step:  # a TensorBoard that is open forgets what it read beyond
                    start = SessionLog(status=SessionLog.START)
                    writer.add_event(Event(step=self._initial_step + 1, session_log=start))
            self._writers[sub_run].add_event(Event(wall_time=time.time(), step=step, **content))

    def flush(self) -> None:
        """Write to the files what has been added so far.

        Raises:
            OSError: they cannot be written.
        """
        for sub_run, writer in self._writers.items():
            with _os_errors(self._folder / sub_run):
                writer.flush()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._initial_step = int(self.model.optimizer.iterations)
        if self._initial_step:
            return  # it goes on, and has drawn the graph
        forward = tf.function(lambda x: self.model(x, training=False), autograph=False)
        graph = forward.get_concrete_function(self._inputs).graph
        self._add("train", 0, graph_def=graph.as_graph_def().SerializeToString())

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for step, loss in self._batch_losses.latest:
            if step % self._every == 0:
                self._add("train", step, summary=scalar_pb("batch_loss", loss))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        step = int(self.model.optimizer.iterations)
        for name, value in (logs or {}).items():
            sub_run = "validation" if name.startswith("val_") else "train"
            self._add(sub_run, step, summary=scalar_pb(name.removeprefix("val_"), value))
        for name, value in {
            "learning_rate": float(self.model.optimizer.learning_rate),
            "examples_per_second": self._stopwatch.examples_per_second,
        }.items():
            self._add("train", step, summary=scalar_pb(name, value))
        for weight in self.model.trainable_variables:
            tag = weight.path.removeprefix(f"{self.model.name}/")
            self._add("train", step, summary=histogram_pb(tag, weight.numpy()))

    def on_train_end(self, logs: Logs | None = None) -> None:
        while self._writers:
            sub_run, writer = self._writers.popitem()
            with _os_errors(self._folder / sub_run):
                writer.close()


@contextlib.contextmanager
def _os_errors(folder: Path) -> Iterator[None]:
    """Let what TensorFlow raises of a file system be an `OSError`, as elsewhere."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"{folder}: {error.message}") from error
