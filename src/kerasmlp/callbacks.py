"""The callbacks of a run, the same for every loop.

Others have modules of their own: those of TensorBoard, `summaries` and `profiling`, and `checkpointing`.
"""

import math
import statistics
import sys
import time
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from kerasmlp.hooks import Logs


class Stopwatch(keras.callbacks.Callback):
    """Times the training steps, and nothing else: not validation, not the callbacks of an epoch's end.

    Tracing and compiling are timed apart: a loop does so before the training begins, or else in the
    first execution of a run, which is then left out of the first epoch unless it is the whole of it.

    Args:
        examples_per_step: of a full batch.

    Attributes:
        seconds_to_first_step: from when the loop knows its callbacks to the end of the first execution.
        seconds_to_trace: of these, what making TensorFlow's graph took, where that is known.
        seconds_to_compile: and what XLA took.
        seconds_per_step: the mean of each epoch.
    """

    checkpointed = ("seconds_per_step",)

    def __init__(self, examples_per_step: int) -> None:
        super().__init__()
        self._examples_per_step = examples_per_step
        self.seconds_to_first_step: float | None = None
        self.seconds_to_trace: float | None = None
        self.seconds_to_compile: float | None = None
        self.seconds_per_step: list[float] = []

    @property
    def seconds_per_epoch(self) -> float:
        """The median over the epochs, in seconds."""
        return statistics.median(self.seconds_per_step) * float(self.params["steps"])

    @property
    def examples_per_second(self) -> float:
        """Of the last epoch."""
        return self._examples_per_step / self.seconds_per_step[-1]

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self._start = time.perf_counter()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        function = self.model.train_function
        self.seconds_to_trace = getattr(function, "seconds_to_trace", None)
        self.seconds_to_compile = getattr(function, "seconds_to_compile", None)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._begin = time.perf_counter()
        self._first_step: int | None = None

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        if self._first_step is None:  # that of the epoch, or where a run goes on
            self._first_step = batch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._end = time.perf_counter()
        self._steps = min(batch + 1, self.params["steps"])  # Keras counts a shorter last group in full
        if self.seconds_to_first_step is None:
            self.seconds_to_first_step = self._end - self._start
            # What is compiled before the training begins does not slow the first execution.
            if self.seconds_to_compile is None and self._steps < self.params["steps"]:
                self._begin, self._first_step = self._end, self._steps

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        steps = max(1, self._steps - (self._first_step or 0))
        self.seconds_per_step.append((self._end - self._begin) / steps)


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


class ProgressLine(keras.callbacks.Callback):
    """Shows on standard error how far the training is: on a terminal live, else a plain line an epoch.

    `on_train_end` leaves the terminal as it was.
    """

    def __init__(self, stopwatch: Stopwatch) -> None:
        super().__init__()
        self._stopwatch = stopwatch
        console = Console(stderr=True)
        self._live = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._live.start()
        watch = self._stopwatch
        if watch.seconds_to_trace is not None and watch.seconds_to_compile is not None:
            self._say(
                f"traced in {watch.seconds_to_trace:.2f} s, compiled in {watch.seconds_to_compile:.2f} s"
            )

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._live.stop()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        title = f"epoch {epoch + 1}/{self.params['epochs']}"
        self._task = self._live.add_task(title, total=self.params["steps"], metrics="")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if not self._live.disable:
            done = min(batch + 1, self.params["steps"])
            self._live.update(self._task, completed=done, metrics=_in_words(logs))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._live.remove_task(self._task)
        seconds = self._stopwatch.seconds_per_step[-1] * self.params["steps"]
        self._say(f"epoch {epoch + 1}/{self.params['epochs']}  {_in_words(logs)}  {seconds:.2f} s")

    def _say(self, line: str) -> None:
        if self._live.disable:
            print(line, file=sys.stderr, flush=True)
        else:
            self._live.console.print(line, highlight=False)


def _in_words(logs: Logs | None) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in sorted((logs or {}).items()))
