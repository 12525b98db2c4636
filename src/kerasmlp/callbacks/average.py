"""Validation with the averaged weights."""

import keras

from kerasmlp.loops import Logs
from kerasmlp.models import averaged_weights


class EvaluateAverage(keras.callbacks.Callback):
    """Lets validation use the averaged weights, if the trained model will have them."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._averaged = averaged_weights(self.model)
        self._averaged.__enter__()

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._averaged.__exit__(None, None, None)
