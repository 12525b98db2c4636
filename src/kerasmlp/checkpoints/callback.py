"""The callback that writes checkpoints, and restores from one."""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kerasmlp.callbacks import Interrupted, Interruption
from kerasmlp.checkpoints import written
from kerasmlp.checkpoints.files import Checkpoints, Contents
from kerasmlp.checkpoints.keras_callbacks import averages_in_model, check_known
from kerasmlp.checkpoints.state import capture, put_callbacks, put_variables
from kerasmlp.loops import Logs
from kerasmlp.models import averaged_weights


class Checkpoint(keras.callbacks.Callback):
    """Writes checkpoints, restores from one, and keeps the best weights. It must be the last callback.

    It also writes a checkpoint after the last epoch, and when a signal interrupts the run; then it
    raises `Interrupted`. A checkpoint that is due at the last step of an epoch is written at the end of
    the epoch, so that a resumed run does not repeat what the other callbacks do there.

    The other callbacks of a resumed run hear `on_train_begin` again, and `on_epoch_begin` of an epoch
    that had begun. What this changes in the model, the optimizer and the callbacks is undone. The files
    that `CSVLogger` and Keras' `TensorBoard` append to are cut to what they were at the checkpoint. A
    line on standard error names each class of callbacks of which it is not known what they keep.

    Args:
        every: the interval: a number and its unit, `epoch`, `step` or `s` (seconds).
        monitor: the metric of an epoch that decides on the best weights. The lowest value is the best.
        others: the callbacks before this one, with a `History`. Their state is saved too.
        extra_state: is called before each checkpoint. Returns more entries for its state.
        resumed: the checkpoint that model and optimizer were restored from. None for a new run.

    Attributes:
        best_weights: the weights after the best epoch, or their averages, as `get_weights` returns them.

    Raises:
        ValueError: a run with such a callback cannot be resumed, or the checkpoint is of others.
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
        check_known(others)
        if resumed is not None:
            written.go_on(others, resumed.state.get("written", []))
        self._checkpoints, self._resumed = checkpoints, resumed
        self._number, self._unit = every
        self._callbacks, self._extra_state = [*others, self], extra_state
        self._interruption = interruption
        self._monitor, self._lowest = monitor, math.inf
        self.best_weights: list[Any] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._saved_step, self._saved_at = 0, time.monotonic()
        if self._resumed is not None:
            if self.model.history not in self._callbacks:
                raise ValueError("expected a History before the Checkpoint, to hold the earlier epochs")
            self._saved_step = self._resumed.state["step"]
            self._put_back(self._resumed, "model", "optimizer")
            self._check_epochs(self._resumed.state["epochs"])

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch
        if self._resumed is not None and self._saved_step % self.params["steps"]:
            self._put_back(self._resumed, "model", "optimizer", "metrics")
        self._resumed = None

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if batch + 1 < self.params["steps"] and not self.model.stop_training:
            self._save_if_due(batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = (logs or {}).get(self._monitor)  # there may be no validation after this epoch
        if value is not None and (value < self._lowest or not self.best_weights):
            self._lowest = value
            averages_are_in = averages_in_model(self._callbacks)
            with contextlib.nullcontext() if averages_are_in else averaged_weights(self.model):
                self.best_weights = self.model.get_weights()
        last = epoch + 1 == self.params["epochs"] or self.model.stop_training
        self._save_if_due(self.params["steps"], last)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._checkpoints.wait()

    def _put_back(self, resumed: Contents, *groups: str) -> None:
        put_variables(self.model, resumed.arrays, *groups)
        put_callbacks(self._callbacks, resumed.arrays, resumed.state["callbacks"])

    def _check_epochs(self, epochs: int) -> None:
        """Raise `ValueError` if Keras cannot go on after the last of `epochs`, and more are wanted."""
        ended = self._saved_step == epochs * self.params["steps"] and epochs < self.params["epochs"]
        if ended and averages_in_model(self._callbacks):
            raise ValueError(
                f"expected {epochs} epochs, as when the run ended; received {self.params['epochs']};"
                " SwapEMAWeights(swap_on_epoch=True) does not keep the weights after the last epoch"
            )

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
        state = {
            "step": step,
            "epochs": self.params["epochs"],
            "stopped": stopped,
            "callbacks": callbacks,
            "written": written.lengths(self._callbacks),
            **self._extra_state(),
        }
        self._checkpoints.save(step, Contents(arrays, state))
        self._saved_step, self._saved_at = step, time.monotonic()
