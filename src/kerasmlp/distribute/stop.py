"""How all workers stop after the same step when one of them gets a signal."""

import keras

from kerasmlp.callbacks import Interrupted, Interruption
from kerasmlp.distribute.strategy import Distribution
from kerasmlp.loops import Logs

STEPS_BETWEEN_SIGNALS = 50
"""The workers exchange signals after this many steps, at the end of the execution."""


class StopTogether(keras.callbacks.Callback):
    """Lets all workers act on a signal to one of them after the same step. The first in the list."""

    def __init__(self, workers: Distribution, interruption: Interruption) -> None:
        super().__init__()
        self._workers = workers
        self._interruption = interruption

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._asked = 0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        times, last = (batch + 1) // STEPS_BETWEEN_SIGNALS, batch + 1 >= self.params["steps"]
        if times == self._asked and not last:
            return
        self._asked = times
        with self._workers.naming_the_lost():
            noted = max(self._workers.exchange(self._interruption.noted or 0))
        if noted:
            self._interruption.received = noted
            if not self._workers.is_chief:  # the chief saves before it stops
                raise Interrupted(noted, f"worker {self._workers.worker}: interrupted")
