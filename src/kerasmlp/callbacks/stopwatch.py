"""The number of training steps, and the time that they take."""

import statistics
import time

import keras

from kerasmlp.loops import Logs


class Stopwatch(keras.callbacks.Callback):
    """Counts and times the training steps, without validation and the callbacks at the end of an epoch.

    The first execution traces and compiles too. Where the time for that is known, it does not count in
    the first epoch. Otherwise the first execution does not count, unless it is the whole epoch.

    Attributes:
        step: the number of steps so far, over all epochs. The optimizer may count otherwise: it may be
            older than the training, accumulate gradients, or not be used by a `train_step`.
        seconds_to_first_step: the time from `set_model` to the end of the first execution.
        seconds_to_trace: the part of it in which TensorFlow traced its graph. None if unknown.
        seconds_to_compile: the part of it in which XLA compiled. None if unknown.
        seconds_per_step: the mean of each epoch.
    """

    checkpointed = ("step", "seconds_per_step")

    def __init__(self, examples_per_step: int) -> None:
        super().__init__()
        self._examples_per_step = examples_per_step
        self.step = 0
        self.seconds_to_first_step: float | None = None
        self.seconds_to_trace: float | None = None
        self.seconds_to_compile: float | None = None
        self.seconds_per_step: list[float] = []

    @property
    def seconds_per_epoch(self) -> float:
        """The median of the epochs, in seconds."""
        return statistics.median(self.seconds_per_step) * float(self.params["steps"])

    @property
    def examples_per_second(self) -> float:
        """The speed in the last epoch."""
        return self._examples_per_step / self.seconds_per_step[-1]

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self._start = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._begin = time.perf_counter()
        self._epoch = epoch
        self._first_step: int | None = None

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        if self._first_step is None:  # not 0 if the run resumes within the epoch
            self._first_step = batch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._end = time.perf_counter()
        # Keras counts a shorter last execution in full.
        self._steps = min(batch + 1, self.params["steps"])
        self.step = self._epoch * self.params["steps"] + self._steps
        if self.seconds_to_first_step is None:
            self.seconds_to_first_step = self._end - self._start
            function = self.model.train_function
            self.seconds_to_trace = getattr(function, "seconds_to_trace", None)
            self.seconds_to_compile = getattr(function, "seconds_to_compile", None)
            if self.seconds_to_trace is not None and self.seconds_to_compile is not None:
                self._begin += self.seconds_to_trace + self.seconds_to_compile
            elif self._steps < self.params["steps"]:
                self._begin, self._first_step = self._end, self._steps

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        steps = max(1, self._steps - (self._first_step or 0))
        self.seconds_per_step.append((self._end - self._begin) / steps)
