"""The callbacks of a run, the same for every loop.

Others have modules of their own: those of TensorBoard, `summaries` and `profiling`, and `checkpointing`.
"""

import math
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerasmlp.loops import Logs


class StepLoss(NamedTuple):
    """The loss of a step.

    Attributes:
        step: its number, from 1.
        loss: of its batch.
        running: the mean of the losses of the epoch so far. The batches are taken for equally large, so
            after a smaller last one it differs from the mean over the examples.
    """

    step: int
    loss: float
    running: float


class BatchLosses(keras.callbacks.Callback):
    """Knows the loss of every step. Keras' logs do not: their `loss` is the mean of the epoch so far.

    It listens to the model's `compute_loss`, so it holds for every loop and every compilation.

    Attributes:
        latest: after each execution, its steps.
    """

    checkpointed = ("_sum",)

    def __init__(self) -> None:
        super().__init__()
        self._sum = 0.0

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        compute_loss = model.compute_loss
        size = model.steps_per_execution
        self._ring = ring = tf.Variable(tf.zeros([size]), trainable=False)
        self._count = count = tf.Variable(0, trainable=False)

        def compute_and_keep(
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> tf.Tensor:
            loss = compute_loss(x, y, y_pred, sample_weight, training=training)
            if training:
                ring.scatter_nd_update([[count % size]], [tf.cast(loss, tf.float32)])
                count.assign_add(1)
            return loss

        self._compute_loss = compute_loss
        model.compute_loss = compute_and_keep
        model.train_function = None  # traced earlier, it would not be heard

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._first = int(self.model.optimizer.iterations)
        self._read = 0
        self.latest: list[StepLoss] = []

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        count, ring = int(self._count), self._ring.numpy()
        numbers = np.arange(self._read, count)
        losses = ring[numbers % len(ring)].tolist()
        self.latest = []
        for number, loss in zip((numbers + self._first).tolist(), losses, strict=True):
            before = number % self.params["steps"]  # steps of the epoch
            self._sum = loss if not before else self._sum + loss
            self.latest.append(StepLoss(number + 1, loss, self._sum / (before + 1)))
        self._read = count

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.model is not None:
            self.model.compute_loss = self._compute_loss


class StopAtNonFinite(keras.callbacks.Callback):
    """Stops the training at the first loss that is not a finite number.

    It raises `FloatingPointError`, so that nothing of the failed epoch is saved, and what was saved
    before stays the last.
    """

    def __init__(self, batch_losses: BatchLosses) -> None:
        super().__init__()
        self._batch_losses = batch_losses

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for step, loss, _ in self._batch_losses.latest:
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss} at step {step:,}; training stopped, and the checkpoints of"
                    " the epochs before are kept; a smaller learning rate may help"
                )


class PrintBatchLoss(keras.callbacks.Callback):
    """Prints the handbook's line for each batch, counted from 0: `batch 7: loss 0.312345`."""

    def __init__(self, batch_losses: BatchLosses) -> None:
        super().__init__()
        self._batch_losses = batch_losses

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for step, loss, _ in self._batch_losses.latest:
            print(f"batch {step - 1}: loss {loss:f}", flush=True)
