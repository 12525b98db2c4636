"""What TensorBoard shows of a run."""

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.callbacks import BatchLosses, Stopwatch

Logs = dict[str, Any]


class TensorBoard(keras.callbacks.Callback):
    """Writes event files into `train/` and `validation/` of the run folder, at the optimizer's step.

    Keras' own callback counts executions instead of steps, starts again at 0 when a run goes on, and
    draws no graph of a subclassed model. The README's glossary says what each tag means.

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

    def _writer(self, sub_run: str) -> Any:
        """Return the writer of a sub-run, whose event file is made at its first use."""
        if sub_run not in self._writers:
            self._writers[sub_run] = tf.summary.create_file_writer(str(self._folder / sub_run))
        return self._writers[sub_run]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        forward = tf.function(lambda x: self.model(x, training=False), autograph=False)
        with self._writer("train").as_default():
            tf.summary.graph(forward.get_concrete_function(self._inputs).graph)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for step, loss in self._batch_losses.latest:
            if step % self._every == 0:
                with self._writer("train").as_default():
                    tf.summary.scalar("batch_loss", loss, step)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        step = int(self.model.optimizer.iterations)
        for name, value in (logs or {}).items():
            sub_run = "validation" if name.startswith("val_") else "train"
            with self._writer(sub_run).as_default(step):
                tf.summary.scalar(name.removeprefix("val_"), value)
        with self._writer("train").as_default(step):
            tf.summary.scalar("learning_rate", self.model.optimizer.learning_rate)
            tf.summary.scalar("examples_per_second", self._stopwatch.examples_per_second)
            for weight in self.model.trainable_variables:
                tf.summary.histogram(weight.path.removeprefix(f"{self.model.name}/"), weight)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        while self._writers:
            self._writers.popitem()[1].close()
