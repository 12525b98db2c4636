"""What a training loop takes, and what it returns."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from kerasmlp.loops.step import has_own_step

Logs = dict[str, Any]
"""Metrics by name."""
History = dict[str, list[float]]
"""For each metric its value after each epoch."""
TrainStep = Callable[..., Any]
"""Takes the model, x, y and optionally sample weights. Trains on the batch and updates the metrics."""


class TrainingData(Protocol):
    """What a loop trains on. The batches of an epoch depend only on its number."""

    @property
    def batch_size(self) -> int:
        """Examples in a batch. The last batch of an epoch may have fewer."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""

    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over the batches of the next epoch: `for x, y in train`."""

    def epoch(self, epoch: int | tf.Variable, first_step: int = 0) -> tf.data.Dataset:
        """Return the batches of one epoch, from a step on: `(x, y)` or `(x, y, sample_weight)`."""


class Loop(Protocol):
    """A training loop, built in or your own. It returns the metrics of each epoch, by name."""

    def __call__(
        self,
        model: keras.Model,
        train: TrainingData,
        validation: tf.data.Dataset | None,
        epochs: int,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> History: ...


@dataclasses.dataclass(frozen=True)
class Training:
    """The arguments of a loop, as a compiled model is trained by `fit`.

    Attributes:
        validation: batches to evaluate on after each epoch; None for no validation.
        initial_step: the step to start with, counted from 0 over all epochs. Model, optimizer and
            callbacks must be as the steps before it left them, and the metrics too once the first epoch
            has begun.
    """

    model: keras.Model
    train: TrainingData
    validation: tf.data.Dataset | None
    epochs: int
    callbacks: Sequence[keras.callbacks.Callback]
    initial_step: int = 0
    validation_freq: int | Sequence[int] = 1

    @property
    def initial_epoch(self) -> int:
        """The epoch of `initial_step`, counted from 0."""
        return self.initial_step // self.train.steps_per_epoch

    @property
    def initial_step_in_epoch(self) -> int:
        """The number of `initial_step` in its epoch, counted from 0."""
        return self.initial_step % self.train.steps_per_epoch


class ResumableLoop:
    """A `Loop` that can start at any step. Executions end at the same steps as in a run from the start.

    `run` trains as a `Training` says, when all variables have been created.
    """

    def __init__(self, run: Callable[[Training], History]) -> None:
        self.run = run
        self.__doc__ = run.__doc__

    def __call__(self, *arguments: Any, **named: Any) -> History:
        """Train. The arguments are those of `Training`."""
        training = Training(*arguments, **named)
        build(training.model, training.train)
        return self.run(training)


def build(model: keras.Model, train: TrainingData) -> None:
    """Create all variables of model and optimizer, so that one trace serves the whole run.

    Nothing is trained. Keras does the same with the first batch, since the shapes of variables may
    depend on its values' shapes.
    """
    if not model.built or has_own_step(model):
        spec = train.epoch(0).element_spec
        if has_own_step(model):
            tf.function(model.train_step, autograph=False).get_concrete_function(spec)
        else:
            x, *_ = keras.utils.unpack_x_y_sample_weight(next(iter(train.epoch(0))))
            shapes = tf.nest.map_structure(lambda part: keras.KerasTensor(part.shape, part.dtype), x)
            model(shapes)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def build_metrics(model: keras.Model, train: TrainingData) -> None:
    """Create the variables of the metrics. Keras creates them with the first batch."""
    if not has_own_step(model):  # `build` has traced it
        evaluate = tf.function(lambda batch: model.test_step(batch), autograph=False)
        evaluate.get_concrete_function(train.epoch(0).element_spec)
