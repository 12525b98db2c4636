"""What a training loop takes, and what it returns."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from kerasmlp.data import unpacked
from kerasmlp.keras_internals import is_built
from kerasmlp.loops.step import has_own_step

History = dict[str, list[float]]
"""For each metric its value after each epoch."""


class TrainingData(Protocol):
    """What a loop trains on. The batches of an epoch depend only on its number."""

    @property
    def batch_size(self) -> int:
        """Examples in a batch. The last batch of an epoch may have fewer."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""

    @property
    def element_spec(self) -> Any:
        """The types and shapes of a batch, as a dataset of `epoch` has them."""

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""

    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over the batches of the next epoch: `for x, y in train`."""

    def epoch(self, epoch: int, first_step: int = 0) -> tf.data.Dataset:
        """Return the batches of one epoch, from a step on, in any form that `fit` takes."""

    def onward(self, epoch: int, first_step: int = 0) -> tf.data.Dataset | None:
        """Return the batches from a step on, through all epochs; None if each epoch is read anew."""

    def first_batch(self) -> Any:
        """Return the first batch of the first epoch."""


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
        validation: batches to evaluate on after an epoch; None for no validation.
        callbacks: any number of callbacks, or one; None for none.
        initial_step: the step to start with, counted from 0 over all epochs. Model, optimizer and
            callbacks must be as the steps before it left them, and the metrics too once the first epoch
            has begun.
        validation_freq: validate after every that many epochs; or the numbers of the epochs after which
            to validate, counted from 1.

    Raises:
        ValueError: `validation_freq` is not positive.
        TypeError: it is something else.
    """

    model: keras.Model
    train: TrainingData
    validation: tf.data.Dataset | None
    epochs: int
    callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.Callback | None = None
    initial_step: int = 0
    validation_freq: int | Sequence[int] = 1

    def __post_init__(self) -> None:
        expected, received = "validation_freq: expected", f"received {self.validation_freq!r}"
        if isinstance(self.validation_freq, str) or not isinstance(self.validation_freq, int | Sequence):
            raise TypeError(f"{expected} a number of epochs or a list of epochs; {received}")
        if isinstance(self.validation_freq, int) and self.validation_freq < 1:
            raise ValueError(f"{expected} a number of epochs from 1 on; {received}")

    @property
    def initial_epoch(self) -> int:
        """The epoch of `initial_step`, counted from 0."""
        return self.initial_step // self.train.steps_per_epoch

    @property
    def initial_step_in_epoch(self) -> int:
        """The number of `initial_step` in its epoch, counted from 0."""
        return self.initial_step % self.train.steps_per_epoch

    def validates_after(self, epoch: int) -> bool:
        """Return whether to validate after an epoch, counted from 0."""
        if self.validation is None:
            return False
        if isinstance(self.validation_freq, int):
            return (epoch + 1) % self.validation_freq == 0
        return epoch + 1 in self.validation_freq


class ResumableLoop:
    """A `Loop` that can start at any step. Executions end at the same steps as in a run from the start.

    `run` trains as a `Training` says, when the model has been built.
    """

    def __init__(self, run: Callable[[Training], History]) -> None:
        self.run = run
        self.__doc__ = run.__doc__

    def __call__(self, *arguments: Any, **named: Any) -> History:
        """Train. The arguments are those of `Training`."""
        training = Training(*arguments, **named)
        build_model(training.model, training.train)
        return self.run(training)


def build(model: keras.Model, train: TrainingData) -> None:
    """Create all variables of model and optimizer. Nothing is trained.

    A loop creates those of the optimizer only at the first step, as Keras does: before it, a callback
    may freeze layers.
    """
    if has_own_step(model):
        _trace_own_step(model, train)
    else:
        build_model(model, train)
    build_optimizer(model)


def build_optimizer(model: keras.Model) -> None:
    """Create the variables of the optimizer, so that one trace of the step is enough.

    A `train_step` of the class may have other plans for it.
    """
    if not (model.optimizer is None or model.optimizer.built or has_own_step(model)):
        model.optimizer.build(model.trainable_variables)


def build_metrics(model: keras.Model, train: TrainingData) -> None:
    """Create the variables of the metrics. Keras creates them with the first batch."""
    if has_own_step(model):
        _trace_own_step(model, train)
    else:
        evaluate = tf.function(lambda batch: model.test_step(batch), autograph=False)
        evaluate.get_concrete_function(train.element_spec)


def build_model(model: keras.Model, train: TrainingData) -> None:
    """Create the variables of the model, so that callbacks find them when the training begins.

    Keras does so with the first batch, since the shapes of variables may depend on its values' shapes.
    """
    if is_built(model):
        return
    if has_own_step(model):
        _trace_own_step(model, train)
        return
    x = unpacked(train.first_batch())[0]
    model(
        keras.tree.map_structure(
            lambda part: None if part is None else keras.KerasTensor(part.shape, part.dtype), x
        )
    )


def _trace_own_step(model: keras.Model, train: TrainingData) -> None:
    step = tf.function(lambda batch: model.train_step(batch), autograph=False)
    step.get_concrete_function(train.element_spec)
