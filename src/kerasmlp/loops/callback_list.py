"""The callback list of a training that may start in the middle of an epoch.

Keras' `fit` can start with any epoch, but not within one: it makes all calls of that epoch. The calls of
the steps that were taken before are skipped here.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import keras

from kerasmlp.loops.interface import Logs, Training


class CallbackList(keras.callbacks.CallbackList):
    """The callbacks of a training, and before them `first`. They know the model before it is traced."""

    def __init__(self, training: Training, first: keras.callbacks.Callback | None = None) -> None:
        self._training = training
        self._first_step = 0
        super().__init__(
            [*([first] if first else []), *training.callbacks],
            add_history=True,
            model=training.model,
            epochs=training.epochs,
            steps=training.train.steps_per_epoch,
            verbose=0,
        )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        training = self._training
        resumed = epoch == training.initial_epoch
        self._first_step = training.initial_step_in_epoch if resumed else 0
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._skip = batch + self.model.steps_per_execution <= self._first_step
        if not self._skip:
            super().on_train_batch_begin(max(batch, self._first_step), logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if not self._skip:
            super().on_train_batch_end(batch, logs)

    def skipping(
        self, train_function: Callable[[Any], Logs], *, by_batches: bool
    ) -> Callable[[Any], Logs]:
        """Return `train_function`, which takes an execution, without the executions taken before.

        Args:
            train_function: takes one execution from an iterator.
            by_batches: whether that iterates over the batches of an epoch, opened at its start. In the
                epoch that was begun before, the function then gets the batches that are left.
        """
        if not self._training.initial_step_in_epoch:
            return train_function
        rest = self._rest() if by_batches else None

        @functools.wraps(train_function)
        def call(iterator: Any) -> Logs:
            if self._skip:
                return {}
            return train_function(next(rest) if rest and self._first_step else iterator)

        return call

    def _rest(self) -> Iterator[Any]:
        """Yield an iterator over batches for each execution that is left of the epoch."""
        train, epoch = self._training.train, self._training.initial_epoch
        first, steps = self._training.initial_step_in_epoch, self.model.steps_per_execution
        if past := first % steps:
            short = steps - past
            yield iter(train.epoch(epoch, first).take(short))
            first = min(first + short, train.steps_per_epoch)
        yield from itertools.repeat(iter(train.epoch(epoch, first)))
