"""What callbacks hear of a training that may begin within an epoch.

Keras' `fit` can begin with any epoch, but not within one: of the epoch that was begun before, it makes
all calls. Those of the steps that were taken before are left out here.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

Logs = dict[str, Any]


class TrainingData(Protocol):
    """What a loop trains on: epochs whose batches follow from their number alone."""

    @property
    def batch_size(self) -> int:
        """Examples of a batch; the last of an epoch may have fewer."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""

    def epoch(self, epoch: int | tf.Variable, first_step: int = 0) -> tf.data.Dataset:
        """Return the batches of one epoch from a step on: `(x, y)` or `(x, y, sample_weight)`."""


class Hooks(keras.callbacks.CallbackList):
    """What `fit` makes of `callbacks`; they know the model before its step is traced.

    Args:
        callbacks: in the order in which they hear.
        model: that is trained.
        train: on what.
        epochs: that the training ends with.
        initial_step: that it begins with, from 0, counted over all epochs.

    Attributes:
        initial_epoch: of that step, from 0.
        initial_step_in_epoch: its number in that epoch, from 0.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        model: keras.Model,
        train: TrainingData,
        epochs: int,
        initial_step: int,
    ) -> None:
        self.initial_epoch, self.initial_step_in_epoch = divmod(initial_step, train.steps_per_epoch)
        self._train = train
        self._first_step = 0
        super().__init__(
            list(callbacks),
            add_history=True,
            model=model,
            epochs=epochs,
            steps=train.steps_per_epoch,
            verbose=0,
        )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._first_step = self.initial_step_in_epoch if epoch == self.initial_epoch else 0
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._leave_out = batch + self.model.steps_per_execution <= self._first_step
        if not self._leave_out:
            super().on_train_batch_begin(max(batch, self._first_step), logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if not self._leave_out:
            super().on_train_batch_end(batch, logs)

    def left_out(
        self, train_function: Callable[[Any], Logs], *, by_batches: bool
    ) -> Callable[[Any], Logs]:
        """Return `train_function` without the calls that are left out.

        Args:
            train_function: takes an execution from an iterator.
            by_batches: the iterator that it is given is one over the batches of an epoch, which Keras
                opens at its start; in the epoch that was begun before, it gets what is left of them.
        """
        if not self.initial_step_in_epoch:
            return train_function
        rest = self._rest() if by_batches else None

        @functools.wraps(train_function)
        def call(iterator: Any) -> Logs:
            if self._leave_out:
                return {}
            return train_function(next(rest) if rest and self._first_step else iterator)

        return call

    def _rest(self) -> Iterator[Any]:
        """Yield iterators over batches for each execution that is left of the epoch."""
        first, steps = self.initial_step_in_epoch, self.model.steps_per_execution
        if past := first % steps:
            short = steps - past
            yield iter(self._train.epoch(self.initial_epoch, first).take(short))
            first = min(first + short, self._train.steps_per_epoch)
        yield from itertools.repeat(iter(self._train.epoch(self.initial_epoch, first)))
