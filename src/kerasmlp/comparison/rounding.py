"""The bound on rounding: how far a correct step may be from Keras' own step.

Training amplifies rounding, so the end of a long run says little. A single step does not amplify it, so
the bound for one step is tight. It is measured at the step itself. For each number it is a sum:

1. The effect of small changes of the inputs, by Monte Carlo arithmetic (Parker, 1997, "Monte Carlo
   Arithmetic: exploiting randomness in floating-point arithmetic"). The reference takes the step several
   times. Each time, its weights and inputs are changed by random relative amounts of 16 u; u is the unit
   roundoff. The root mean square of the resulting change is multiplied by lambda sqrt(n) / 16, with
   lambda = 8 and n the number of terms of the longest sum in the step. The reason: a sum of n terms, in
   any order, has a rounding error of at most lambda sqrt(n) u times the sum of the absolute terms, with
   probability 1 - 2 exp(-lambda^2 / 2) (Higham and Mary, 2019, "A new approach to probabilistic rounding
   error analysis").
2. The effect of cancellation inside the step, as in p - 1 for a probability p near 1. Changes of the
   inputs do not show it, so two correct programs are compared: the gradients of TensorFlow's kernels and
   of XLA, at weights with random relative changes of 2^-8, with the same random numbers in both, as for
   the masks of dropout. The step is taken with lambda times their difference added to its gradients. The
   root mean square of the resulting change is added.
3. The arithmetic of the update: 16 u times the absolute value of the number and of its change. An
   optimizer like Adam divides by 1 - beta_2^t, which loses digits in the first steps t:
   u / (1 - beta_2^t) times the change is added.
4. 16 times the smallest normal number. XLA replaces smaller numbers by zero, for example the moments of
   a pixel that is always blank.

Random changes can miss what happens to few numbers: two ReLU units are on together for one example, and
a weight moves that no draw moved. So up to 2 % of the numbers of a variable may be above their bounds,
if they are no more than the root mean square of the bounds of this variable.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasmlp.comparison.deviation import TINY, Deviation, largest_deviation
from kerasmlp.comparison.draws import recorded, replayed
from kerasmlp.comparison.longest_sum import longest_sum
from kerasmlp.comparison.reference import RIGHT, Batch, Reference, Step, assign, dense, restore, state
from kerasmlp.comparison.verdict import State
from kerasmlp.data import Epochs, packed, unpacked
from kerasmlp.loops import has_own_step

LAMBDA = 8.0
PERTURBATION = 16.0
"""Relative change of weights and inputs, in units of u."""
NEARBY = 2.0**-8
"""Relative change of the weights at which the two programs are compared."""
DRAWS = ((4, 0), (4, 8), (40, 40))
"""Number of random draws: of changed inputs, and of differences of programs. The next pair is used while
the difference is above `CLEARLY_WITHIN` of the bound. Few draws can be misleading: they can miss a ReLU
unit that switches, and both programs can happen to round alike."""
CLEARLY_WITHIN = 0.5
FAR = 1000.0
MANY = 0.1
"""States are far apart if more than this share of the numbers of a variable differ by `FAR` bounds."""


class Rounding:
    """Takes the steps by which the bound on rounding is measured, see `StepBound`.

    `working` is called at each of them: an execution of many steps can take minutes to measure.

    Attributes:
        unit_roundoff: the largest one of the layers.
        longest_sum: the number of terms of the longest sum in a step.
    """

    def __init__(
        self, reference: Reference, train: Epochs, working: Callable[[], object] = lambda: None
    ) -> None:
        self.reference, self._working = reference, working
        self._model = model = reference.model
        self.unit_roundoff = max(_unit_roundoff(layer.compute_dtype) for layer in (model, *model.layers))
        self.longest_sum = longest_sum(model, train.batch_size, train.element_spec)
        options = {"autograph": False, "reduce_retracing": True}
        self._perturbed_right_step = tf.function(
            lambda batch, seed: self._take_perturbed(RIGHT, batch, seed), **options
        )
        self._changed_step = tf.function(self._take_with_program_difference, **options)
        self._compiles = True
        self._drawn = tf.function(self._draw_numbers, **options)
        self._programs = [
            tf.function(self._gradients, jit_compile=jit_compile, **options)
            for jit_compile in (False, True)
        ]

    def after_perturbed_steps(
        self, step: Step, before: State, batches: Sequence[Batch], draw: int
    ) -> State:
        restore(self._model, before)
        for number, batch in enumerate(batches):
            seed = tf.constant([draw, number])
            self._working()
            if step is RIGHT:
                self._perturbed_right_step(batch, seed)
            else:
                self._take_perturbed(step, batch, seed)
        return state(self._model)

    def _take_perturbed(self, step: Step, batch: Batch, seed: tf.Tensor) -> None:
        """Take a step with randomly changed weights and inputs."""
        distance = PERTURBATION * self.unit_roundoff
        values = self._perturb_weights(seed, distance)
        x, *rest = unpacked(batch)
        x = tf.nest.map_structure(lambda part: _perturbed(part, seed, distance), x)
        weights = self._model.trainable_variables
        step.take(self._model, packed(x, *rest), lambda: assign(weights, values))

    def _perturb_weights(self, seed: tf.Tensor, distance: float) -> list[tf.Tensor]:
        """Change the weights at random, and return the old values."""
        weights = self._model.trainable_variables
        values = [tf.identity(weight.value) for weight in weights]
        for number, (weight, value) in enumerate(zip(weights, values, strict=True)):
            weight.assign(_perturbed(value, tf.add(seed, [0, 1000 * (number + 1)]), distance))
        return values

    def after_changed_steps(self, before: State, batches: Sequence[Batch], draw: int) -> State:
        restore(self._model, before)
        for number, batch in enumerate(batches):
            values = state(self._model)
            self._working()
            if self._compiles:
                try:
                    self._changed_step(batch, tf.constant([draw, number]))
                except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, TypeError):
                    # XLA cannot compile this model, or it draws random numbers in a loop: there is only
                    # one program. The weights may have been changed before the error.
                    self._compiles = False
                    restore(self._model, values)
            if not self._compiles:
                self.reference.train_step(batch)
        return state(self._model)

    def _take_with_program_difference(self, batch: Batch, seed: tf.Tensor) -> None:
        """Take a step with the difference of the two programs added to the gradients."""
        if has_own_step(self._model):  # its gradients are not known
            RIGHT.take(self._model, batch)
            return
        variables = self._model.variables
        values = [tf.identity(variable.value) for variable in variables]
        draws = self._drawn(batch)
        assign(variables, values)
        self._perturb_weights(seed, NEARBY)
        nearby = [tf.identity(variable.value) for variable in variables]
        of_programs = []
        for program in self._programs:
            assign(variables, nearby)
            of_programs.append(dense(program(batch, draws)))
        assign(variables, values)
        gradients = [
            right if right is None else right + LAMBDA * (other - one)
            for right, one, other in zip(
                dense(self._programs[0](batch, draws)), *of_programs, strict=True
            )
        ]
        RIGHT.apply(self._model, gradients)

    def _draw_numbers(self, batch: Batch) -> list[tf.Tensor]:
        """Return the random numbers that a step draws."""
        with recorded() as draws:
            RIGHT.gradients(self._model, batch)
        return draws

    def _gradients(self, batch: Batch, draws: list[tf.Tensor]) -> list[Any]:
        """Return the gradients of a step that draws these random numbers."""
        with replayed(draws):
            return RIGHT.gradients(self._model, batch)


class StepBound:
    """The bound on rounding for steps of the reference, measured with more draws where it is needed.

    The reference went from `before` to `expected` with `step` on each of `batches`.
    """

    def __init__(
        self,
        rounding: Rounding,
        before: State,
        batches: Sequence[Batch],
        expected: State,
        step: Step = RIGHT,
    ) -> None:
        self.rounding, self.step = rounding, step
        self.before, self.batches, self.expected = before, batches, expected
        self._inputs, self._programs = _RootMeanSquare(expected), _RootMeanSquare(expected)

    @functools.cached_property
    def _bias_correction(self) -> float:
        """1 - beta_2^t of the first step; 1 for an optimizer without beta_2."""
        optimizer = self.rounding.reference.model.optimizer
        beta = getattr(getattr(optimizer, "inner_optimizer", optimizer), "beta_2", 0.0)
        reference = self.rounding.reference
        steps = next(
            int(value)
            for path, value in zip(reference.paths[::-1], self.before[::-1], strict=True)
            if path.endswith("iteration")
        )
        return 1 - float(beta) ** (steps + 1)

    def deviation(self, received: State, variables: int | None = None) -> Deviation:
        """Return where `received` differs most from `expected`, in the first `variables` or in all."""
        for input_draws, program_draws in DRAWS:
            self._draw(input_draws, program_draws)
            paths = self.rounding.reference.paths[:variables]
            found = largest_deviation(paths, self.expected, received, self.bounds())
            clear = found.share <= CLEARLY_WITHIN or self.are_far_apart(
                self.expected[:variables], received
            )
            if clear or self.step is not RIGHT:
                break
        return found

    def _draw(self, input_draws: int, program_draws: int) -> None:
        before, batches = self.before, self.batches
        for draw in range(self._inputs.count, input_draws):
            self._inputs.add(self.rounding.after_perturbed_steps(self.step, before, batches, draw))
        for draw in range(self._programs.count, program_draws):
            self._programs.add(self.rounding.after_changed_steps(before, batches, draw))

    def bounds(self) -> list[Any]:
        """Return the bound for each number of a state, as far as it has been measured."""
        states = self.before, self.expected, self._inputs.values(), self._programs.values()
        return [
            self._bound(*(np.atleast_1d(array.astype(np.float64)) for array in arrays))
            if arrays[1].dtype.kind == "f"
            else np.zeros(np.atleast_1d(arrays[1]).shape)
            for arrays in zip(*states, strict=True)
        ]

    def are_far_apart(self, one: State, other: State) -> bool:
        """Return whether two states differ so much that more draws cannot explain it."""
        floor = PERTURBATION * self.rounding.unit_roundoff
        return any(
            first.dtype.kind == "f"
            and first.size
            and np.mean(
                ~(np.abs(first.astype(np.float64) - second) <= FAR * (bound + floor * np.abs(first)))
            )
            > MANY
            for first, second, bound in zip(one, other, self.bounds(), strict=False)
        )

    def _bound(self, old: Any, right: Any, inputs: Any, programs: Any) -> Any:
        """Return the bound for each element of a variable that changes from `old` to `right`."""
        unit_roundoff = self.rounding.unit_roundoff
        factor = LAMBDA * math.sqrt(self.rounding.longest_sum) / PERTURBATION
        bound = factor * inputs + programs
        bound += PERTURBATION * unit_roundoff * (np.abs(right) + np.abs(right - old))
        bound += unit_roundoff / self._bias_correction * np.abs(right - old)
        return np.nan_to_num(bound) + PERTURBATION * TINY


class _RootMeanSquare:
    """The root mean square difference between states and the expected one, for each number."""

    def __init__(self, expected: State) -> None:
        self._expected = [value.astype(np.float64) for value in expected]
        self._sums = [np.zeros(value.shape) for value in expected]
        self.count = 0

    def add(self, values: State) -> None:
        parts = zip(self._sums, values, self._expected, strict=True)
        self._sums = [total + (value - right) ** 2 for total, value, right in parts]
        self.count += 1

    def values(self) -> list[Any]:
        """Return the root mean squares; zeros if no state was added."""
        return [np.sqrt(total / max(1, self.count)) for total in self._sums]


def _perturbed(value: Any, seed: tf.Tensor, distance: float) -> Any:
    """Return `value` with random relative changes of standard deviation `distance`."""
    if not value.dtype.is_floating:
        return value
    bound = math.sqrt(3)  # a uniform draw of variance 1
    draw = tf.random.stateless_uniform(tf.shape(value), seed, -bound, bound, tf.float32)
    return value * (1 + tf.cast(draw * distance, value.dtype))


def _unit_roundoff(dtype: str | None) -> float:
    return {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float64": 2.0**-53}.get(dtype or "", 2.0**-24)
