"""Validation with the averaged weights."""

import contextlib

import keras

from kerasmlp.loops import Logs
from kerasmlp.models import averaged_weights


class EvaluateAverage(keras.callbacks.Callback):
    """Lets validation use the averaged weights, which the trained model will have.

    Without `use_ema` in the optimizer it does nothing.
    """

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._swapped = contextlib.ExitStack()
        self._swapped.enter_context(averaged_weights(self.model))

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._swapped.close()
