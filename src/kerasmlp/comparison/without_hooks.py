"""A loop that calls no batch hooks: short calls of it are compared with Keras' own steps."""

import dataclasses
import functools

import keras
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.comparison.causes import Cause, find_cause
from kerasmlp.comparison.reference import Batch, restore, state
from kerasmlp.comparison.rounding import Rounding
from kerasmlp.comparison.verdict import Divergence, State, same
from kerasmlp.data import Batches


class CallChecker:
    """Calls a loop for a few steps at a time, and compares each result with that of the reference.

    Args:
        rounding: the bound on rounding, and the reference.
        train: the batches that the loop was trained on.

    Attributes:
        divergence: the first difference that is more than rounding. None if there is none.
        steps: number of steps that were compared.
        measured: number of calls for which the bound was measured.
        share: the largest difference after a call, as a share of the bound.
    """

    def __init__(self, rounding: Rounding, train: Batches) -> None:
        self.divergence: Divergence | None = None
        self.steps = 0
        self.measured = 0
        self.share = 0.0
        self._rounding = rounding
        self._reference = rounding.reference
        self._train = train

    def check(self, loop: loops.Loop, model: keras.Model, initial: State, epochs: int) -> None:
        """Check single steps of the first epoch, then a call of two epochs with two steps each.

        Args:
            loop: the loop.
            model: a model that the loop has just trained.
            initial: the state from which the loop trained it.
            epochs: how long the loop should have trained it.
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
        part, reference = _Part(self._train, steps), self._reference
        batches = [batch for epoch in range(epochs) for batch in part.epoch(epoch)]
        restore(model, before)
        loop(model, part, None, epochs, [])
        received = state(model)
        expected = reference.finalize(reference.train(before, batches))
        self.steps += len(batches)
        if same(expected, received):
            return expected
        self.measured += 1
        deviation = self._rounding.deviation(before, batches, expected, received)
        if deviation is None or deviation.is_rounding:
            self.share = max(self.share, deviation.share if deviation is not None else 0.0)
            return expected
        if epochs == 1:
            cause = find_cause(self._rounding, before, batches, received, [])
        else:
            cause = self._cause_between_epochs(before, batches, received)
        self.divergence = Divergence(
            steps[0] + 1,
            deviation.variable,
            deviation.size,
            deviation.bound,
            str(cause) if cause else None,
        )
        return expected

    def _cause_between_epochs(
        self, before: State, batches: list[Batch], received: State
    ) -> Cause | None:
        """Return why two epochs are wrong although single steps are right."""
        half = len(batches) // 2
        mistakes = {
            "another order of the batches: those of the first epoch are repeated": 2 * batches[:half],
            "the last, partial batch of the epoch is dropped": [batches[0], batches[half]],
            "the loop trains one epoch only": batches[:half],
        }
        for name, others in mistakes.items():
            wrong = self._reference.finalize(self._reference.train(before, others))
            deviation = self._rounding.deviation(before, others, wrong, received)
            if deviation is None or deviation.is_rounding:
                return Cause(name, exact=deviation is None)
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
        return functools.reduce(lambda one, other: one.concatenate(other), chosen)
