"""One step of a loop held against one step of Keras' own, from the same state and over the same batch.

Long runs amplify rounding, so where two loops end tells little; a single step does not, and there the
bound on rounding is sharp. It is found by Monte Carlo arithmetic (Parker, 1997, "Monte Carlo
Arithmetic: exploiting randomness in floating-point arithmetic"): the reference takes the step several
times with its weights and inputs moved by random relative amounts of 16 u, u the unit roundoff, and
what that moves each number by is measured. A sum of n terms in any order errs by at most
lambda sqrt(n) u of its terms, with probability 1 - 2 exp(-lambda^2 / 2) (Higham and Mary, 2019, "A new
approach to probabilistic rounding error analysis"). So the bound of a number is what the draws moved
it by (root mean square) times lambda sqrt(n) / 16, with lambda = 8 and n the longest sum of the model,
and 16 u of its magnitude for the arithmetic of the update itself.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasmlp import loops

LAMBDA = 8.0
PERTURBATION = 16.0  # in units of u
DRAWS, MORE_DRAWS = 4, 32

State = list[NDArray[Any]]
Batch = tuple[Any, Any]


@dataclasses.dataclass(frozen=True)
class Deviation:
    """Where a state is not what it should be: the variable that is furthest out.

    Attributes:
        variable: its path.
        size: its largest absolute difference.
        bound: what rounding explains, at the element that is furthest out of it.
    """

    variable: str
    size: float
    bound: float


@dataclasses.dataclass(frozen=True)
class Step:
    """A train step in two halves, between which weights moved for their gradients are put back.

    Attributes:
        gradients: of `(model, x, y)`, by the trainable variables, as the optimizer expects them.
        apply: takes `(model, gradients)`, and changes the weights.
    """

    gradients: Callable[[keras.Model, Any, Any], list[Any]]
    apply: Callable[[keras.Model, list[Any]], None]

    def __call__(self, model: keras.Model, x: Any, y: Any) -> None:
        """Take the step."""
        self.apply(model, self.gradients(model, x, y))


def apply(model: keras.Model, gradients: list[Any]) -> None:
    """Change the weights as the model's optimizer does."""
    model.optimizer.apply(gradients, model.trainable_variables)


RIGHT = Step(lambda model, x, y: loops.compute_gradients(model, x, y)[2], apply)
"""The step that `fit` takes."""


def variables(model: keras.Model) -> list[Any]:
    """Return all that a step changes and the next depends on: weights, statistics, seeds, optimizer."""
    return [*model.variables, *model.optimizer.variables]


def state(model: keras.Model) -> State:
    """Return the values of `variables`."""
    return [np.array(variable) for variable in variables(model)]


def restore(model: keras.Model, values: State) -> None:
    """Set `variables` to `values`."""
    for variable, value in zip(variables(model), values, strict=True):
        variable.assign(value)


def same(first: Sequence[NDArray[Any]], second: Sequence[NDArray[Any]]) -> bool:
    """Whether two states are equal bit for bit."""
    return len(first) == len(second) and all(
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        for one, other in zip(first, second, strict=True)
    )


class Reference:
    """Keras' own train step, on a model of its own, from any state.

    Args:
        model: compiled and built. It is this object's from now on, and holds the metrics of its steps.
        batch_size: examples a step.
    """

    def __init__(self, model: keras.Model, batch_size: int) -> None:
        self.model = model
        self.paths = [variable.path for variable in variables(model)]
        self.unit_roundoff = max(_unit_roundoff(layer.compute_dtype) for layer in (model, *model.layers))
        self._factor = LAMBDA * math.sqrt(longest_sum(model, batch_size)) / PERTURBATION
        options = {"autograph": False, "reduce_retracing": True}
        self._step = tf.function(
            lambda x, y: loops.train_step(model, x, y), jit_compile=model.jit_compile, **options
        )
        self._draw = tf.function(lambda x, y, seed: self._moved_step(RIGHT, x, y, seed), **options)

    def step(self, before: State, batches: Sequence[Batch]) -> tuple[State, list[float]]:
        """Return the state after a step on each of `batches` from `before`, and the losses."""
        restore(self.model, before)
        losses = [float(self._step(x, y)) for x, y in batches]
        return state(self.model), losses

    def wrong_step(self, step: Step, before: State, batches: Sequence[Batch]) -> State:
        """Return the state after `step` on each of `batches` from `before`. No metric is changed."""
        restore(self.model, before)
        for x, y in batches:
            step(self.model, x, y)
        return state(self.model)

    def deviation(
        self,
        before: State,
        batches: Sequence[Batch],
        expected: State,
        received: State,
        step: Step = RIGHT,
    ) -> Deviation | None:
        """Return where `received` differs from `expected` by more than rounding, None for nowhere.

        Args:
            before: the state from which both were reached.
            batches: the batches over which.
            expected: the state after `step`.
            received: the state after what is held against it.
            step: what the reference did.
        """
        if same(expected, received):
            return None
        squares = [np.zeros(value.shape) for value in expected]
        draws, found = 0, None
        # A few draws can miss what rounding does where a unit switches; many do not.
        for until in (DRAWS, DRAWS + MORE_DRAWS):
            for draw in range(draws, until):
                self._add_draw(step, before, batches, expected, squares, draw)
            draws = until
            found = self._furthest(before, expected, received, squares, draws)
            if found is None:
                break
        return found

    def _add_draw(
        self,
        step: Step,
        before: State,
        batches: Sequence[Batch],
        expected: State,
        squares: list[NDArray[Any]],
        draw: int,
    ) -> None:
        """Add to `squares` what a step with weights and inputs moved at random differs by."""
        restore(self.model, before)
        for number, (x, y) in enumerate(batches):
            seed = tf.constant([draw, number])
            if step is RIGHT:
                self._draw(x, y, seed)
            else:
                self._moved_step(step, x, y, seed)
        for square, value, moved in zip(squares, expected, state(self.model), strict=True):
            square += (moved.astype(np.float64) - value) ** 2

    def _moved_step(self, step: Step, x: Any, y: Any, seed: tf.Tensor) -> None:
        weights = self.model.trainable_variables
        values = [tf.identity(weight.value) for weight in weights]
        for number, (weight, value) in enumerate(zip(weights, values, strict=True)):
            weight.assign(self._moved(value, tf.add(seed, [0, 1000 * (number + 1)])))
        gradients = step.gradients(self.model, self._moved(x, seed), y)
        for weight, value in zip(weights, values, strict=True):
            weight.assign(value)
        step.apply(self.model, gradients)

    def _moved(self, value: Any, seed: tf.Tensor) -> Any:
        if not value.dtype.is_floating:
            return value
        bound = math.sqrt(3)  # a uniform draw of variance 1
        draw = tf.random.stateless_uniform(tf.shape(value), seed, -bound, bound, value.dtype)
        return value * (1 + draw * PERTURBATION * self.unit_roundoff)

    def _furthest(
        self, before: State, expected: State, received: State, squares: State, draws: int
    ) -> Deviation | None:
        worst, furthest = 1.0, None
        for path, *arrays in zip(self.paths, before, expected, received, squares, strict=True):
            exact = arrays[1].dtype.kind != "f"
            old, value, other, square = (np.atleast_1d(array.astype(np.float64)) for array in arrays)
            difference = np.where(np.isnan(value) & np.isnan(other), 0.0, np.abs(other - value))
            difference = np.nan_to_num(difference, nan=np.inf)
            bound = self._factor * np.sqrt(square / draws)
            bound += PERTURBATION * self.unit_roundoff * (np.abs(value) + np.abs(value - old))
            bound = np.zeros_like(bound) if exact else np.nan_to_num(bound, nan=0.0)
            excess = difference / np.maximum(bound, np.finfo(np.float32).tiny)
            at = int(excess.argmax())
            if excess.flat[at] > worst:
                worst = float(excess.flat[at])
                furthest = Deviation(path, float(difference.max()), float(bound.flat[at]))
        return furthest


def longest_sum(model: keras.Model, batch_size: int) -> int:
    """Return a bound on the terms of the longest sum in a step.

    Over the inputs of a unit, or over the examples of a batch; the gradient of a convolution is a sum
    over the positions of its output too.
    """
    inputs, positions = 1, 1
    for layer in model.layers:
        for weight in layer.trainable_variables:
            inputs = max(inputs, math.prod(weight.shape[:-1]))
            if len(weight.shape) > 2:
                positions = max(positions, math.prod(layer.output.shape[1:-1]))
    return max(inputs, batch_size * positions)


def _unit_roundoff(dtype: str | None) -> float:
    return {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float64": 2.0**-53}.get(dtype or "", 2.0**-24)
