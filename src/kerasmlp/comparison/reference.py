"""One step of a loop held against one step of Keras' own, from the same state and over the same batch.

Long runs amplify rounding, so where two loops end tells little; a single step does not, and there the
bound on rounding is sharp. It is measured at the step itself, from two sides:

- How much does rounding matter? Monte Carlo arithmetic (Parker, 1997, "Monte Carlo Arithmetic:
  exploiting randomness in floating-point arithmetic"): the reference takes the step several times with
  its weights and inputs moved by random relative amounts of 16 u, u the unit roundoff, and the root
  mean square of what that moves each number by is taken. A sum of n terms in any order errs by at most
  lambda sqrt(n) u of its terms, with probability 1 - 2 exp(-lambda^2 / 2) (Higham and Mary, 2019, "A
  new approach to probabilistic rounding error analysis"). So the bound is that times
  lambda sqrt(n) / 16, with lambda = 8 and n the longest sum in the step.
- How large is it where terms cancel inside, as in p - 1 for a probability p near 1? There moving the
  inputs does not tell, so two programs that are both right are asked: the gradients as TensorFlow's
  kernels and as XLA compute them, at weights nearby. The step is taken with lambda times their
  difference added to its gradients, and what that moves each number by is added to the bound.

And 16 u of a number's magnitude for the arithmetic of the update, and 16 times the smallest normal
number: XLA takes what is smaller for zero, as the moments of a pixel that is always blank become.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.comparison.verdict import State, same

LAMBDA = 8.0
PERTURBATION = 16.0  # in units of u
NEARBY = 2.0**-8  # relative distance of the weights at which two programs are compared
FEW, MORE, MANY = 4, 8, 40
"""Draws: of moved weights, of two programs, and of both before a deviation is believed: a few can miss
what rounding does where a unit switches, or where both programs happen to round alike."""
ENOUGH = 0.5
"""The share of the bound from which on more draws are made."""
_TINY = float(np.finfo(np.float32).tiny)

Batch = tuple[Any, Any]


@dataclasses.dataclass(frozen=True)
class Deviation:
    """Where a state is furthest from what it should be.

    Attributes:
        variable: the path of the variable.
        size: its largest absolute difference.
        bound: what rounding explains, at the element where the difference is the largest part of it.
        share: that part; above 1, rounding does not explain it.
    """

    variable: str
    size: float
    bound: float
    share: float


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
    return [variable.numpy() for variable in variables(model)]


def restore(model: keras.Model, values: State) -> None:
    """Set `variables` to `values`."""
    _assign(variables(model), values)


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
        self.longest_sum = longest_sum(model, batch_size)
        self._factor = LAMBDA * math.sqrt(self.longest_sum) / PERTURBATION
        options = {"autograph": False, "reduce_retracing": True}
        self._step = tf.function(
            lambda x, y: loops.train_step(model, x, y), jit_compile=model.jit_compile, **options
        )
        self._draw = tf.function(lambda x, y, seed: self._moved_step(RIGHT, x, y, seed), **options)
        self._between = tf.function(self._step_between_programs, **options)
        self._programs = [
            tf.function(lambda x, y: RIGHT.gradients(model, x, y), jit_compile=jit_compile, **options)
            for jit_compile in (False, True)
        ]

    def step(self, before: State, batches: Sequence[Batch]) -> tuple[State, list[float]]:
        """Return the state after a step on each of `batches` from `before`, and the losses."""
        restore(self.model, before)
        losses = [float(self._step(x, y)) for x, y in batches]
        return state(self.model), losses

    def finalised(self, values: State) -> State:
        """Return the state that training ends with where the last step leads to `values`."""
        restore(self.model, values)
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        return state(self.model)

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
        """Return where `received` differs most from `expected`, for its bound; None if nowhere.

        Args:
            before: the state from which both were reached.
            batches: the batches over which.
            expected: the state after `step`.
            received: the state after what is held against it.
            step: what the reference did.
        """
        if same(expected, received):
            return None
        moved, programs = _Squares(expected), _Squares(expected)
        for moves, pairs in ((FEW, 0), (FEW, MORE), (MANY, MANY)):
            for draw in range(moved.count, moves):
                moved.add(self._moved_state(step, before, batches, draw))
            for draw in range(programs.count, pairs):
                programs.add(self._state_between_programs(before, batches, draw))
            found = self._furthest(before, expected, received, moved.root_mean(), programs.root_mean())
            if found.share <= ENOUGH or step is not RIGHT:
                break
        return found

    def _moved_state(self, step: Step, before: State, batches: Sequence[Batch], draw: int) -> State:
        """Return the state after a step with weights and inputs moved at random by 16 u."""
        restore(self.model, before)
        for number, (x, y) in enumerate(batches):
            seed = tf.constant([draw, number])
            if step is RIGHT:
                self._draw(x, y, seed)
            else:
                self._moved_step(step, x, y, seed)
        return state(self.model)

    def _moved_step(self, step: Step, x: Any, y: Any, seed: tf.Tensor) -> None:
        distance = PERTURBATION * self.unit_roundoff
        values = self._move_weights(seed, distance)
        gradients = step.gradients(self.model, _moved(x, seed, distance), y)
        _assign(self.model.trainable_variables, values)
        step.apply(self.model, gradients)

    def _move_weights(self, seed: tf.Tensor, distance: float) -> list[tf.Tensor]:
        """Move the weights, and return what they were."""
        weights = self.model.trainable_variables
        values = [tf.identity(weight.value) for weight in weights]
        for number, (weight, value) in enumerate(zip(weights, values, strict=True)):
            weight.assign(_moved(value, tf.add(seed, [0, 1000 * (number + 1)]), distance))
        return values

    def _state_between_programs(self, before: State, batches: Sequence[Batch], draw: int) -> State:
        """Return the state after a step with what two right programs part by added to its gradients."""
        restore(self.model, before)
        for number, (x, y) in enumerate(batches):
            try:
                self._between(x, y, tf.constant([draw, number]))
            except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
                self._step(x, y)  # XLA cannot compile this model: there is one program only
        return state(self.model)

    def _step_between_programs(self, x: Any, y: Any, seed: tf.Tensor) -> None:
        here = [tf.identity(variable.value) for variable in self.model.variables]
        self._move_weights(seed, NEARBY)
        nearby = [tf.identity(variable.value) for variable in self.model.variables]
        parts = []
        for program in self._programs:
            _assign(self.model.variables, nearby)
            parts.append(program(x, y))
        _assign(self.model.variables, here)
        gradients = [
            right + LAMBDA * (other - one)
            for right, one, other in zip(self._programs[0](x, y), *parts, strict=True)
        ]
        RIGHT.apply(self.model, gradients)

    def _furthest(
        self,
        before: State,
        expected: State,
        received: State,
        moved: Sequence[Any],
        programs: Sequence[Any],
    ) -> Deviation:
        furthest = Deviation("", 0.0, 0.0, -1.0)
        states = (before, expected, received)
        for index, path in enumerate(self.paths):
            exact = expected[index].dtype.kind != "f"
            old, value, other = (np.atleast_1d(values[index].astype(np.float64)) for values in states)
            difference = np.where(np.isnan(value) & np.isnan(other), 0.0, np.abs(other - value))
            difference = np.nan_to_num(difference, nan=np.inf)
            bound = np.atleast_1d(self._factor * moved[index] + programs[index])
            bound += PERTURBATION * self.unit_roundoff * (np.abs(value) + np.abs(value - old))
            bound = np.nan_to_num(bound, nan=0.0) + PERTURBATION * _TINY
            bound = np.zeros_like(bound) if exact else bound
            excess = difference / np.maximum(bound, _TINY)
            at = int(excess.argmax())
            if excess.flat[at] > furthest.share:
                size, share = float(difference.max()), float(excess.flat[at])
                furthest = Deviation(path, size, float(bound.flat[at]), share)
        return furthest


class _Squares:
    """Collects by how much states differ from one, number by number."""

    def __init__(self, expected: State) -> None:
        self._expected = [value.astype(np.float64) for value in expected]
        self._sums = [np.zeros(value.shape) for value in expected]
        self.count = 0

    def add(self, values: State) -> None:
        """Add a state."""
        for index, value in enumerate(values):
            self._sums[index] = self._sums[index] + (value - self._expected[index]) ** 2
        self.count += 1

    def root_mean(self) -> list[Any]:
        """Return the root of the mean square of the differences, 0 of none."""
        return [np.sqrt(total / max(1, self.count)) for total in self._sums]


def _assign(variables: Sequence[Any], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _moved(value: Any, seed: tf.Tensor, distance: float) -> Any:
    """Return `value` with each number moved by a random relative amount, `distance` on average."""
    if not value.dtype.is_floating:
        return value
    bound = math.sqrt(3)  # a uniform draw of variance 1
    draw = tf.random.stateless_uniform(tf.shape(value), seed, -bound, bound, tf.float32)
    return value * (1 + tf.cast(draw * distance, value.dtype))


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
