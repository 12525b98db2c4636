"""A loop that calls the hooks of its callbacks, followed step by step beside a reference."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kerasmlp.comparison import causes
from kerasmlp.comparison import reference as lockstep
from kerasmlp.comparison.epoch_metrics import EpochMetrics
from kerasmlp.comparison.reference import Batch, Deviation, Reference
from kerasmlp.comparison.verdict import Divergence, State, same
from kerasmlp.data import Batches
from kerasmlp.loops import Logs

ALL_STEPS_UNTIL = 100
EACH = 20
"""Where a loop rounds otherwise, the bound is measured at each of the first 100 steps, then at every
twentieth execution and at the ends of epochs; what is equal bit for bit needs no bound."""


class Follower(keras.callbacks.Callback):
    """Takes every step of a loop a second time, by the reference, from where the loop stood.

    Args:
        reference: takes Keras' own steps.
        train: the batches that the loop should train on.
        start: the state that the loop should start from.
    """

    def __init__(self, reference: Reference, train: Batches, start: State) -> None:
        super().__init__()
        self.divergence: Divergence | None = None
        self.steps = 0
        self.measured = 0
        self.share = 0.0
        self._executions = 0
        self.reference = reference
        self._train = train
        self._after = start
        self._next = 0
        self._sums: list[list[NDArray[Any]]] = []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch
        self._batches = iter(self._train.epoch(epoch))
        self._next = epoch * self._train.steps_per_epoch
        self.reference.model.reset_metrics()
        self._metrics = EpochMetrics(self.reference.model)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._first = batch
        self._before = lockstep.state(self.model)
        if self.divergence is None and not same(self._before, self._after):
            self._compare_between(self._next)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._after = lockstep.state(self.model)
        if self.divergence is not None:
            return
        last = min(batch, self._train.steps_per_epoch - 1)
        batches = [next(self._batches) for _ in range(self._first, last + 1)]
        self._next = self._epoch * self._train.steps_per_epoch + last + 1
        expected, _ = self.reference.step(self._before, batches)
        self._metrics.add(self.reference.model, sum(len(y) for _, y in batches))
        self.steps += len(batches)
        self._executions += 1
        if same(expected, self._after) or not self._measured(last):
            return
        metrics = self._metrics.values(self.reference.model)
        found = self.reference.deviation(self._before, batches, expected, self._after)
        self.measured += 1
        if found is not None:
            self.share = max(self.share, found.share)
            if found.share > 1:
                self._diagnose(batches, found)
        self._metrics.set(self.reference.model, metrics)

    def _measured(self, last: int) -> bool:
        """Whether a step that rounds otherwise is measured."""
        at_end = last + 1 == self._train.steps_per_epoch
        return at_end or self._next <= ALL_STEPS_UNTIL or self._executions % EACH == 0

    def _diagnose(self, batches: list[Batch], found: Deviation) -> None:
        first = self._next - len(batches)
        cause = causes.find(
            self.reference, self._before, batches, self._after, self._other_batches(first)
        )
        self.divergence = Divergence(
            first + 1, found.variable, found.size, found.bound, str(cause) if cause else None
        )

    def _other_batches(self, step: int) -> Iterator[tuple[str, Batch]]:
        """Yield each other batch of the epochs so far, and of the next, by what its use would mean."""
        per_epoch = self._train.steps_per_epoch
        for epoch in range(step // per_epoch + 2):
            for position, batch in enumerate(self._train.epoch(epoch)):
                other = epoch * per_epoch + position
                if other == step + 1 and (step + 1) % per_epoch == 0:
                    yield "the last batch of the epoch, a partial one, is dropped", batch
                elif other != step:
                    yield (
                        (
                            f"another order of the batches: this is the batch of step {other + 1}"
                            f" (batch {position + 1} of epoch {epoch + 1})"
                        ),
                        batch,
                    )

    def _compare_between(self, step: int) -> None:
        """Say what changed the state between two steps, or before the first."""
        pairs = zip(self.reference.paths, self._after, self._before, strict=True)
        changed = [(path, one, other) for path, one, other in pairs if not same([one], [other])]
        path, one, other = changed[0]
        when = "before its first step" if step == 0 else f"after step {step} and before the next"
        cause = f"the loop changes the state outside its steps: {', '.join(p for p, _, _ in changed)}"
        for name, one_of, other_of in changed:
            if name.endswith("learning_rate"):
                cause = f"another learning rate: {float(other_of):g}, not {float(one_of):g}"
        size = float(np.abs(other.astype(float) - one).max()) if one.shape == other.shape else None
        self.divergence = Divergence(step + 1, f"{path}, changed {when}", size, 0.0, cause)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.divergence is not None:
            return
        missing = (epoch + 1) * self._train.steps_per_epoch - self._next
        if missing:
            partial = missing == 1 and len(self._train.images) % self._train.batch_size
            cause = "the last batch of the epoch, a partial one, is dropped" if partial else None
            what = f"{missing} step(s) of epoch {epoch + 1} are missing"
            self.divergence = Divergence(self._next + 1, what, cause=cause)
            return
        self._sums.append(self._metrics.sums())
        self.divergence = self._metrics.compare(self.reference.model, logs or {}, self._next, self._sums)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._end = lockstep.state(self.model)

    def finish(self, model: keras.Model, epochs: int) -> None:
        """Compare the state that the loop ends with: after its last step, and what `fit` does there."""
        if self.divergence is not None or not self.steps:
            return
        steps = epochs * self._train.steps_per_epoch
        if self._next < steps:
            what = f"the loop ended after {self._next} of {steps} steps"
            self.divergence = Divergence(self._next + 1, what)
            return
        final, expected = lockstep.state(model), self.reference.finalised(self._after)
        for path, one, other in zip(self.reference.paths, expected, final, strict=True):
            if not np.allclose(one, other, rtol=1e-6, atol=1e-7):
                unchanged = same(self._after, final)
                cause = (
                    "EMA is not finalised: optimizer.finalize_variable_values is not called at the end"
                    if unchanged
                    else "the loop changes the weights after its last step"
                )
                size = float(np.abs(one.astype(float) - other).max())
                self.divergence = Divergence(steps, f"{path}, at the end of training", size, 1e-7, cause)
                return
