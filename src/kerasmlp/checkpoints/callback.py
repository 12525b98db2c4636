"""The callback that writes checkpoints, and restores from one."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kerasmlp.callbacks import Interrupted, Interruption
from kerasmlp.checkpoints.files import Checkpoints, Contents
from kerasmlp.checkpoints.state import capture, put_callbacks, put_variables
from kerasmlp.loops import Logs
from kerasmlp.models import averaged_weights


class Checkpoint(keras.callbacks.Callback):
    """Writes checkpoints, restores from one, and keeps the best weights. It must be the last callback.

    It also writes a checkpoint after the last epoch, and when a signal interrupts the run; then it
    raises `Interrupted`. A checkpoint that is due at the last step of an epoch is written at the end of
    the epoch, so that a resumed run does not repeat what the other callbacks do there.

    Args:
        every: the interval: a number and its unit, `epoch`, `step` or `s` (seconds).
        monitor: the metric of an epoch that decides on the best weights. The lowest value is the best.
        others: the callbacks before this one. Their state is saved too.
        extra_state: is called before each checkpoint. Returns more entries for its state.
        resumed: the checkpoint that model and optimizer were restored from. None for a new run.

    Attributes:
        best_weights: the weights after the best epoch, or their averages, as `get_weights` returns them.
    """

    checkpointed = ("_lowest", "best_weights")

    def __init__(
        self,
        checkpoints: Checkpoints,
        every: tuple[int, str],
        monitor: str,
        others: Sequence[keras.callbacks.Callback],
        extra_state: Callable[[], dict[str, Any]],
        interruption: Interruption,
        resumed: Contents | None = None,
    ) -> None:
        super().__init__()
        self._checkpoints, self._resumed = checkpoints, resumed
        self._number, self._unit = every
        self._callbacks, self._extra_state = [*others, self], extra_state
        self._interruption = interruption
        self._monitor, self._lowest = monitor, math.inf
        self.best_weights: list[Any] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._saved_step, self._saved_at = 0, time.monotonic()
        if self._resumed is not None:
            state = self._resumed.state
            self._saved_step = state["step"]
            put_callbacks(self._callbacks, self._resumed.arrays, state["callbacks"])

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch
        if self._resumed is not None and self._saved_step % self.params["steps"]:
            put_variables(self.model, self._resumed.arrays, "metrics")
        self._resumed = None

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if batch + 1 < self.params["steps"]:
            self._save_if_due(batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = (logs or {})[self._monitor]
        if value < self._lowest or not self.best_weights:
            self._lowest = value
            with averaged_weights(self.model):
                self.best_weights = self.model.get_weights()
        last = epoch + 1 == self.params["epochs"] or self.model.stop_training
        self._save_if_due(self.params["steps"], last)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._checkpoints.wait()

    def _due(self, step: int) -> bool:
        if self._unit == "s":
            return time.monotonic() - self._saved_at >= self._number
        steps = self._number * (self.params["steps"] if self._unit == "epoch" else 1)
        return step // steps > self._saved_step // steps

    def _save_if_due(self, step_in_epoch: int, last: bool = False) -> None:
        step = self._epoch * self.params["steps"] + step_in_epoch
        if last or self._interruption.received is not None or self._due(step):
            self._save(step)
            if self._interruption.received is not None:
                self._checkpoints.wait()
                raise Interrupted(self._interruption.received, f"interrupted after step {step:,}")

    def _save(self, step: int) -> None:
        arrays, callbacks = capture(self.model, self._callbacks)
        for name, array in arrays.items():
            if name.startswith("model/") and not np.isfinite(array).all():
                raise FloatingPointError(
                    f"a weight is not finite after step {step:,}; training stopped, earlier checkpoints"
                    " are kept; try a smaller learning rate"
                )
        stopped = bool(self.model.stop_training)
        state = {"step": step, "stopped": stopped, "callbacks": callbacks, **self._extra_state()}
        self._checkpoints.save(step, Contents(arrays, state))
        self._saved_step, self._saved_at = step, time.monotonic()
