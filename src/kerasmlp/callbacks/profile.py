"""A profile of a few steps, for TensorBoard's dashboard of that name."""

import importlib.util
import sys
from pathlib import Path

import keras
import tensorflow as tf

from kerasmlp.loops import Logs

STEPS = 10
"""At least so many are profiled, in whole executions."""
PLUGIN = "tensorboard_plugin_profile"


class Profile(keras.callbacks.Callback):
    """Profiles the steps of the second execution, and of those after it up to `STEPS` steps.

    The first can hold tracing and compiling. What TensorBoard needs to show it is another package; where
    that is missing, a line on standard error says so.

    Args:
        folder: of the sub-run that it is shown with.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._heard = 0
        self._first: int | None = None
        self._done = False

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._heard += 1
        if self._heard == 2:
            self._first = int(self.model.optimizer.iterations)
            tf.profiler.experimental.start(str(self._folder))
        if self._first is not None:
            self._execution = tf.profiler.experimental.Trace("execution", step_num=self._heard, _r=1)
            self._execution.__enter__()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self._first is not None:
            self._execution.__exit__(None, None, None)
            steps = int(self.model.optimizer.iterations) - self._first
            if steps >= STEPS:
                self._stop()
                _say(f"{steps} steps were profiled")
                if importlib.util.find_spec(PLUGIN) is None:
                    _say("to see them: pip install tensorboard-plugin-profile")

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._first is not None:
            self._stop()
        if not self._done:
            _say(f"nothing was profiled: there were too few executions, {self._heard}")

    def _stop(self) -> None:
        tf.profiler.experimental.stop()
        self._first, self._done = None, True


def _say(line: str) -> None:
    print(f"--profile: {line}", file=sys.stderr)
