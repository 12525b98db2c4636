"""A loop that calls no batch hooks: short calls of it are compared with Keras' own steps."""

import dataclasses
import functools

import keras
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.comparison.causes import Cause, Experiment
from kerasmlp.comparison.checker import Checker
from kerasmlp.comparison.reference import restore, state
from kerasmlp.comparison.verdict import Divergence, State, same
from kerasmlp.data import Batches


class CallChecker(Checker):
    """Calls a loop for a few steps at a time, and compares each result with that of the reference."""

    def check(self, loop: loops.Loop, model: keras.Model, initial: State, epochs: int) -> None:
        """Check single steps of the first epoch, then a call of two epochs with two steps each.

        The loop has just trained `model` from `initial`; it should have trained for `epochs`.
        """
        done, steps = int(model.optimizer.iterations), epochs * self._train.steps_per_epoch
        last = self._train.steps_per_epoch - 1
        before = initial
        for step in sorted({0, 1, 2, last} & set(range(last + 1))):
            before = self._check_call(loop, model, before, (step,), 1)
            if self.divergence is not None:
                return
        self._check_call(loop, model, initial, (0, last) if last else (0,), 2)
        if self.divergence is None and done != steps:
            self.divergence = Divergence(done + 1, f"the loop ended after {done} of {steps} steps")

    def _check_call(
        self, loop: loops.Loop, model: keras.Model, before: State, steps: tuple[int, ...], epochs: int
    ) -> State:
        """Check a call on some steps of each epoch, and return the state in which it should end."""
        part = _Part(self._train, steps)
        batches = [batch for epoch in range(epochs) for batch in part.epoch(epoch)]
        restore(model, before)
        loop(model, part, None, epochs, [])
        call = Experiment(self._rounding, before, batches, state(model))
        expected = self._reference.finalize(self._reference.train(before, batches))
        self.steps += len(batches)
        if not same(expected, call.received):
            find_cause = call.find_cause if epochs == 1 else lambda: self._cause_between_epochs(call)
            self._measure(steps[0] + 1, call, expected, find_cause)
        return expected

    def _cause_between_epochs(self, call: Experiment) -> Cause | None:
        """Return why two epochs are wrong although single steps are right."""
        batches, half = list(call.batches), len(call.batches) // 2
        mistakes = {
            "another order of the batches: those of the first epoch are repeated": 2 * batches[:half],
            "the last, partial batch of the epoch is dropped": [batches[0], batches[half]],
            "the loop trains one epoch only": batches[:half],
        }
        for name, others in mistakes.items():
            wrong = self._reference.finalize(self._reference.train(call.before, others))
            if same(wrong, call.received):
                return Cause(name, exact=True)
            if self._rounding.deviation(call.before, others, wrong, call.received).is_rounding:
                return Cause(name, exact=False)
        return None


@dataclasses.dataclass(frozen=True)
class _Part:
    """Training data with only some of the steps of each epoch."""

    train: Batches
    steps: tuple[int, ...]

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
