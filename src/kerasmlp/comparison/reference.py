"""Keras' own train step, taken from any state: what the steps of a loop are compared with."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.comparison.verdict import State

Batch = tuple[Any, Any]
"""Examples and labels."""


def own_gradients(model: keras.Model, x: Any, y: Any) -> list[Any]:
    """Return the gradients of the trainable variables, as the optimizer expects them."""
    return loops.compute_gradients(model, x, y)[2]


def dense(gradients: list[Any]) -> list[Any]:
    """Return the gradients as tensors: the gradient of an `Embedding` comes as its non-zero rows."""
    return [None if each is None else tf.convert_to_tensor(each) for each in gradients]


def apply_gradients(model: keras.Model, gradients: list[Any]) -> None:
    """Change the weights with the optimizer of the model."""
    model.optimizer.apply(gradients, model.trainable_variables)


@dataclasses.dataclass(frozen=True)
class Step:
    """A train step in two parts. Weights that the first part changed are restored before the second."""

    gradients: Callable[[keras.Model, Any, Any], list[Any]] = own_gradients
    apply: Callable[[keras.Model, list[Any]], None] = apply_gradients


RIGHT = Step()
"""The step that `fit` takes, without its metrics."""


def variables(model: keras.Model) -> list[Any]:
    """Return what a step changes, without metrics: weights, statistics, seeds, optimizer variables."""
    return [*model.variables, *model.optimizer.variables]


def state(model: keras.Model) -> State:
    """Return the values of `variables`."""
    return [variable.numpy() for variable in variables(model)]


def restore(model: keras.Model, values: State) -> None:
    """Set `variables` to `values`."""
    assign(variables(model), values)


def assign(variables: Sequence[Any], values: Sequence[Any]) -> None:
    """Set each variable to its value."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


class Reference:
    """Takes Keras' own train step from any state.

    Attributes:
        model: compiled and built. It belongs to this object, and has the metrics of its steps.
        paths: the paths of the variables of a state.
        weights: number of variables of the model, which come first in a state.
        train_step: takes one step on `(x, y)`, metrics included.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.weights = len(model.variables)
        self.paths = [variable.path for variable in variables(model)]
        self.train_step = tf.function(
            lambda x, y: loops.train_step(model, x, y),
            jit_compile=model.jit_compile,
            autograph=False,
            reduce_retracing=True,
        )

    def train(self, before: State, batches: Sequence[Batch]) -> State:
        """Return the state after one step on each batch, starting from `before`."""
        restore(self.model, before)
        for x, y in batches:
            self.train_step(x, y)
        return state(self.model)

    def finalize(self, values: State) -> State:
        """Return the state at the end of a training, after a last step that ends in `values`."""
        restore(self.model, values)
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        return state(self.model)

    def take(self, step: Step, before: State, batches: Sequence[Batch]) -> State:
        """Return the state after `step` on each batch, starting from `before`. Metrics are unchanged."""
        restore(self.model, before)
        for x, y in batches:
            step.apply(self.model, step.gradients(self.model, x, y))
        return state(self.model)
