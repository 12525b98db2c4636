"""The loss of each step: recorded, printed, and checked."""

import math
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kerasmlp.keras_internals import pass_training_to_compute_loss
from kerasmlp.loops import Logs


class StepLoss(NamedTuple):
    """The number of a step, counted from 1, its loss, and the mean loss of the epoch so far.

    `running` is the mean over batches. It can differ from the mean over examples at the end of an epoch,
    because a smaller last batch weighs as much as the others.
    """

    step: int
    loss: float
    running: float


class BatchLosses(keras.callbacks.Callback):
    """Records the loss of each step. Keras' logs lack it: their `loss` is the mean of the epoch so far.

    It wraps the model's `compute_loss`, so it works with every loop, compiled or not. `latest` has the
    losses of the latest execution.
    """

    checkpointed = ("_sum",)

    def __init__(self) -> None:
        super().__init__()
        self._sum = 0.0

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self._compute_loss = compute_loss = model.compute_loss
        # A `compute_loss` without `training` would not hear whether this is an evaluation.
        self._passed = passed = pass_training_to_compute_loss(model, True)
        size = model.steps_per_execution
        self._ring = ring = tf.Variable(tf.zeros([size]))
        self._count = count = tf.Variable(0)

        def compute_and_record(
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> tf.Tensor:
            option = {"training": training} if passed else {}
            loss = compute_loss(x, y, y_pred, sample_weight, **option)
            if training:
                ring.scatter_nd_update([[count % size]], [tf.cast(loss, tf.float32)])
                count.assign_add(1)
            return loss

        model.compute_loss = compute_and_record
        model.train_function = None  # a function that was traced before does not call the wrapper

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._recorded = int(self._count)
        self.latest: list[StepLoss] = []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch_begin = epoch * self.params["steps"]

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._first = batch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        losses, self.latest = self._new(), []
        steps = range(self._first, min(batch + 1, self.params["steps"]))
        if len(losses) != len(steps):  # a `train_step` may compute no loss, or several
            return
        for step, loss in zip(steps, losses, strict=True):
            self._sum = self._sum + loss if step else loss
            self.latest.append(StepLoss(self._epoch_begin + step + 1, loss, self._sum / (step + 1)))

    def _new(self) -> list[float]:
        """Return the losses since the last call. Those of an execution are known, no more."""
        count, ring = int(self._count), self._ring.numpy().tolist()
        losses = [ring[number % len(ring)] for number in range(self._recorded, count)]
        self._recorded = count
        return losses

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.model.compute_loss = self._compute_loss
        pass_training_to_compute_loss(self.model, self._passed)


class StopAtNonFinite(keras.callbacks.Callback):
    """Raises `FloatingPointError` at the first loss that is not a finite number.

    In the list it comes before the `Checkpoint`, so the failed step is not saved.
    """

    def __init__(self, batch_losses: BatchLosses) -> None:
        super().__init__()
        self._batch_losses = batch_losses

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for step, loss, _ in self._batch_losses.latest:
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss} at step {step:,}; training stopped, earlier checkpoints are"
                    " kept; try a smaller learning rate"
                )


class PrintBatchLoss(keras.callbacks.Callback):
    """Prints a line for each batch, counted from 0, as in the handbook: `batch 7: loss 0.312345`."""

    def __init__(self, batch_losses: BatchLosses) -> None:
        super().__init__()
        self._batch_losses = batch_losses

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for step, loss, _ in self._batch_losses.latest:
            print(f"batch {step - 1}: loss {loss:f}", flush=True)
