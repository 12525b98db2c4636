"""TODO"""

import statistics
import time

import keras

from kerasmlp.loops import Logs


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
