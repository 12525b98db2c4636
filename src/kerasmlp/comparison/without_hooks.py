"""A loop that calls no batch hooks: short calls of it are compared with Keras' own steps."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator

import keras
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.comparison.causes import Cause, Experiment
from kerasmlp.comparison.checker import Checker
from kerasmlp.comparison.own_optimizers import OwnOptimizers
from kerasmlp.comparison.reference import restore, state
from kerasmlp.comparison.rounding import StepBound
from kerasmlp.comparison.verdict import Divergence, State, same
from kerasmlp.data import Batches


class CallChecker(Checker):
    """Calls a loop for a few steps at a time, and compares each result with that of the reference."""

    def check(
        self, loop: loops.Loop, model: keras.Model, epochs: int, own_optimizers: OwnOptimizers
    ) -> None:
        """Check single steps of the first epoch, then a call of two epochs with two steps each.

        The loop has just trained `model`. It should have trained for `epochs`.
        """
        before = self._initial
        self._find_own_optimizer(before, state(model))
        self._own_optimizers = own_optimizers
        done, steps = int(model.optimizer.iterations), epochs * self._train.steps_per_epoch
        last = self._train.steps_per_epoch - 1
        for step in sorted({0, 1, 2, last} & set(range(last + 1))):
            before = self._check_call(loop, model, before, (step,), 1)
            if self.divergence is not None:
                return
        self._check_call(loop, model, self._initial, (0, last) if last else (0,), 2)
        if self.divergence is None and done != steps and not self.has_own_optimizer:
            self.divergence = Divergence(
                done + 1, f"the loop ended after {done} steps, not after {steps}"
            )

    def _check_call(
        self, loop: loops.Loop, model: keras.Model, before: State, steps: tuple[int, ...], epochs: int
    ) -> State:
        """Check a call on some steps of each epoch, and return the state in which it should end."""
        part = _Part(self._train, steps)
        batches = [batch for epoch in range(epochs) for batch in part.epoch(epoch)]
        if self.has_own_optimizer:  # it starts each call anew
            before = [*before[: self._weights], *self._initial[self._weights :]]
            self._own_optimizers.reset()
        restore(model, before)
        loop(model, part, None, epochs, [])
        received, compared = state(model), slice(self._compared)
        expected = self._reference.train(before, batches)
        expected = expected if self.has_own_optimizer else self._reference.finalize(expected)
        self.steps += len(batches)
        if not same(expected[compared], received[compared]):
            right = StepBound(self._rounding, before, batches, expected)
            call = Experiment(right, received, self._compared)
            find_cause = call.find_cause if epochs == 1 else lambda: self._cause_between_epochs(call)
            self._measure(steps[0] + 1, right, received, find_cause)
        return expected

    def _cause_between_epochs(self, call: Experiment) -> Cause | None:
        """Return why two epochs are wrong although single steps are right."""
        before, batches = call.right.before, list(call.right.batches)
        half, compared = len(batches) // 2, slice(self._compared)
        mistakes = {
            "another order of the batches: those of the first epoch are repeated": 2 * batches[:half],
            "the last, partial batch of the epoch is dropped": [batches[0], batches[half]],
            "the loop trains one epoch only": batches[:half],
        }
        for name, others in mistakes.items():
            wrong = self._reference.finalize(self._reference.train(before, others))
            if same(wrong[compared], call.received[compared]):
                return Cause((name,), exact=True)
            bound = StepBound(self._rounding, before, others, wrong)
            if bound.deviation(call.received, self._compared).is_rounding:
                return Cause((name,), exact=False)
        return None


@dataclasses.dataclass(frozen=True)
class _Part:
    """Training data with only some of the steps of each epoch."""

    train: Batches
    steps: tuple[int, ...]
    _epochs_read: Iterator[int] = dataclasses.field(default_factory=itertools.count, init=False)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[tuple[tf.Tensor, ...]]:
        return iter(self.epoch(next(self._epochs_read)))

    @property
    def batch_size(self) -> int:
        return self.train.batch_size

    @property
    def steps_per_epoch(self) -> int:
        return len(self.steps)

    def epoch(self, epoch: int | tf.Variable, first_step: int = 0) -> tf.data.Dataset:
        batches = self.train.epoch(epoch)
        chosen = [batches.skip(step).take(1) for step in self.steps[first_step:]]
        return functools.reduce(tf.data.Dataset.concatenate, chosen)
