"""The callback list of a training that may start in the middle of an epoch.

Keras' `fit` can start with any epoch, but not within one: it makes all calls of that epoch. The calls of
the steps that were taken before are skipped here.
"""

from typing import NamedTuple

import keras

from kerasmlp.loops.interface import Training
from kerasmlp.loops.step import Logs


class Execution(NamedTuple):
    """The steps of one call: their epoch, the first one's number in it, how many, all counted from 0."""

    epoch: int
    first_step: int
    steps: int


class CallbackList(keras.callbacks.CallbackList):
    """The callbacks of a training. They know the model before it is traced.

    Attributes:
        execution: the execution that is next, or runs; None if it was taken before the run was resumed.
    """

    def __init__(self, training: Training) -> None:
        self._training = training
        self._group = training.model.steps_per_execution
        self.execution: Execution | None = None
        self._stops = False
        super().__init__(
            training.callbacks,
            add_history=True,
            model=training.model,
            epochs=training.epochs,
            steps=training.train.steps_per_epoch,
            verbose=0,
        )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        training = self._training
        resumed = epoch == training.initial_epoch
        self._epoch, self._first_step = epoch, training.initial_step_in_epoch if resumed else 0
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        first, end = max(batch, self._first_step), batch + self._group
        stops = self._stops or self.model.stop_training
        if first >= end:
            # A stop waits for a step, as in an epoch from its start. `fit` would end the epoch here.
            self._stops, self.model.stop_training, self.execution = stops, False, None
            return
        self._stops, self.model.stop_training = False, stops
        steps = min(end, self._training.train.steps_per_epoch) - first
        self.execution = Execution(self._epoch, first, steps)
        super().on_train_batch_begin(first, logs)
        # `compile` leaves none, if a callback has called it, and Keras does not make another.
        self.model.make_train_function()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.execution is not None:
            super().on_train_batch_end(batch, logs)
