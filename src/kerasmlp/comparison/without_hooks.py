"""A loop that calls no batch hooks, held to a reference by what short calls of it do."""

import dataclasses
import functools

import keras
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.comparison import causes
from kerasmlp.comparison import reference as lockstep
from kerasmlp.comparison.reference import Batch, Reference
from kerasmlp.comparison.verdict import Divergence, State, same
from kerasmlp.data import Batches


class ShortCalls:
    """Lets a loop train on a few batches at a time, and takes the same steps by the reference.

    Args:
        reference: takes Keras' own steps.
        train: the batches that the loop trained on.
    """

    def __init__(self, reference: Reference, train: Batches) -> None:
        self.divergence: Divergence | None = None
        self.steps = 0
        self.measured = 0
        self.share = 0.0
        self.reference = reference
        self._train = train

    def hold(self, loop: loops.Loop, model: keras.Model, initial: State, epochs: int) -> None:
        """Hold to the reference what calls of the loop do, after its run of `epochs`.

        For single steps of the first epoch, then for two epochs of two steps.
        """
        done, steps = int(model.optimizer.iterations), epochs * self._train.steps_per_epoch
        last = self._train.steps_per_epoch - 1
        start = initial
        for step in sorted({0, 1, 2, last} & set(range(last + 1))):
            start = self._one_call(loop, model, start, (step,), 1)
            if self.divergence is not None:
                return
        self._one_call(loop, model, initial, (0, last) if last else (0,), 2)
        if self.divergence is None and done != steps:
            self.divergence = Divergence(done + 1, f"the loop ended after {done} of {steps} steps")

    def _one_call(
        self, loop: loops.Loop, model: keras.Model, start: State, steps: tuple[int, ...], epochs: int
    ) -> State:
        """Let the loop train from `start` on some steps of each epoch; return where it should end."""
        part, reference = _Part(self._train, steps), self.reference
        batches = [batch for epoch in range(epochs) for batch in part.epoch(epoch)]
        lockstep.restore(model, start)
        loop(model, part, None, epochs, [])
        received = lockstep.state(model)
        expected = reference.finalised(reference.step(start, batches)[0])
        self.steps += len(batches)
        if same(expected, received):
            return expected
        self.measured += 1
        found = reference.deviation(start, batches, expected, received)
        if found is None or found.share <= 1:
            self.share = max(self.share, found.share if found is not None else 0.0)
            return expected
        cause = None
        if epochs == 1:
            cause = causes.find(reference, start, batches, received, [])
        else:
            cause = self._cause_between_epochs(start, batches, received)
        self.divergence = Divergence(
            steps[0] + 1, found.variable, found.size, found.bound, str(cause) if cause else None
        )
        return expected

    def _cause_between_epochs(
        self, start: State, batches: list[Batch], received: State
    ) -> causes.Cause | None:
        """Return what is wrong with a loop whose single steps are right."""
        half = len(batches) // 2
        instead = {
            "another order of the batches: those of the first epoch come again": 2 * batches[:half],
            "the last batch of the epoch, a partial one, is dropped": [batches[0], batches[half]],
            "the loop trains one epoch only": batches[:half],
        }
        for name, others in instead.items():
            wrong = self.reference.finalised(self.reference.step(start, others)[0])
            found = self.reference.deviation(start, others, wrong, received)
            if found is None or found.share <= 1:
                return causes.Cause(name, exact=found is None)
        return None


@dataclasses.dataclass(frozen=True)
class _Part:
    """Epochs of a few of the steps."""

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
