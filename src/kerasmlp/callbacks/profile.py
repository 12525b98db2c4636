"""A profile of a few steps, for TensorBoard's dashboard Profile."""

import importlib.util
import sys
from pathlib import Path

import keras
import tensorflow as tf

from kerasmlp.loops import Logs

STEPS = 10
"""The least number of steps to profile. Executions are profiled as a whole."""
PLUGIN = "tensorboard_plugin_profile"
"""The package that TensorBoard needs to show a profile."""


class Profile(keras.callbacks.Callback):
    """Profiles executions, from the second one on, until there are `STEPS` steps.

    The first execution may include tracing and compiling. The profile is written to the folder of a
    sub-run. If `PLUGIN` is not installed, a line on standard error says how to install it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._executions = 0
        self._steps: int | None = None  # in the profile, while it is being made

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._executions += 1
        if self._executions == 2:
            self._steps = 0
            tf.profiler.experimental.start(str(self._folder))
        if self._steps is not None:
            self._first = batch
            self._trace = tf.profiler.experimental.Trace("execution", step_num=self._executions, _r=1)
            self._trace.__enter__()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self._steps is not None:
            self._trace.__exit__(None, None, None)
            self._steps += min(batch + 1, self.params["steps"]) - self._first
            if self._steps >= STEPS:
                _report(f"profiled {self._steps} steps")
                self._stop()
                if importlib.util.find_spec(PLUGIN) is None:
                    _report("to see the profile: pip install tensorboard-plugin-profile")

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._steps is not None:
            self._stop()
        if self._executions < 2:
            _report(f"no profile: expected at least 2 executions; received {self._executions}")

    def _stop(self) -> None:
        tf.profiler.experimental.stop()
        self._steps = None


def _report(line: str) -> None:
    print(f"--profile: {line}", file=sys.stderr)
