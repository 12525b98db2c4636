"""Training data by epochs: `for x, y in train`, `len(train)`."""

import abc
import functools
import itertools
from collections.abc import Iterator
from typing import Any

import tensorflow as tf


class Epochs(abc.ABC):
    """Training data whose batches depend only on the numbers of the epoch and the step.

    Attributes:
        batch_size: examples in a batch. The last batch of an epoch may have fewer.
    """

    batch_size: int

    @property
    @abc.abstractmethod
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""

    @abc.abstractmethod
    def epoch(self, epoch: int | tf.Tensor, first_step: int = 0) -> tf.data.Dataset:
        """Return the batches of one epoch in order, from a step on. Both are counted from 0."""

    def onward(self, epoch: int, first_step: int = 0) -> tf.data.Dataset | None:
        """Return the batches from a step on, through all epochs; None if each epoch is read anew."""
        return None

    @functools.cached_property
    def element_spec(self) -> Any:
        """The types and shapes of a batch, as a dataset of `epoch` has them."""
        return self.epoch(0).element_spec

    def first_batch(self) -> Any:
        """Return the first batch of the first epoch."""
        return next(iter(self.epoch(0)))

    @functools.cached_property
    def _epochs_read(self) -> Iterator[int]:
        return itertools.count()

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over the batches of the next epoch: of epoch 0 at the first call."""
        if tf.inside_function():  # it would be traced step by step, without end
            raise TypeError(
                "`for x, y in train` cannot be traced by tf.function. Write it outside of the function,"
                " or pass a dataset to the function: `run_epoch(train.epoch(epoch))`"
            )
        return iter(self.epoch(next(self._epochs_read)))
