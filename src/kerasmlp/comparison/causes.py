"""Why a step is wrong, found by experiment: the reference takes each known wrong step.

The wrong step starts from the same state as the step of the loop, on the same batch. If it ends in the
same state, the cause is found.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from kerasmlp.comparison.reference import RIGHT, Batch, Step
from kerasmlp.comparison.rounding import Rounding
from kerasmlp.comparison.verdict import State, same
from kerasmlp.comparison.wrong_steps import wrong_steps


@dataclasses.dataclass(frozen=True)
class Cause:
    """What is wrong, and whether the wrong step gives the loop's state exactly or within rounding."""

    name: str
    exact: bool

    def __str__(self) -> str:
        certain = "certain: it gives the loop's step bit for bit"
        likely = "very likely: it gives the loop's step within rounding"
        return f"{self.name} ({certain if self.exact else likely})"


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Compares wrong steps of the reference with a wrong step of a loop, from `before` to `received`.

    The loop should have used `batches`.
    """

    rounding: Rounding
    before: State
    batches: Sequence[Batch]
    received: State

    def find_cause(self, other_batches: Iterable[tuple[str, Batch]] = ()) -> Cause | None:
        """Return why the step of the loop is wrong; None if no known cause explains it.

        The other batches are tried last, each with the cause that it would be.
        """
        reference = self.rounding.reference
        expected = reference.take(RIGHT, self.before, self.batches)
        batch_size = len(self.batches[0][1])
        prefix = "with the loop's own optimizer, " if self._has_own_optimizer else ""
        likely = None
        for name, step in wrong_steps(reference.model, self.before, expected, self.received, batch_size):
            cause = self._test(prefix + name, step, self.batches)
            if cause is not None and cause.exact:
                return cause
            likely = likely or cause
        if self._has_own_optimizer and likely is None:
            name = "the loop has its own optimizer, and the optimizer of the model is never used"
            likely = self._test(name, RIGHT, self.batches)
        if likely is None and len(self.batches) == 1:
            causes = (self._test(name, RIGHT, [batch]) for name, batch in other_batches)
            likely = next(filter(None, causes), None)
        return likely

    @functools.cached_property
    def _has_own_optimizer(self) -> bool:
        """Whether the loop left the model's optimizer unchanged. Then only the weights are compared."""
        weights = self.rounding.reference.weights
        return same(self.before[weights:], self.received[weights:])

    def _test(self, name: str, step: Step, batches: Sequence[Batch]) -> Cause | None:
        """Return the cause if `step` on `batches` gives the state of the loop."""
        reference, received = self.rounding.reference, self.received
        try:
            wrong = reference.take(step, self.before, batches)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError):
            return None  # this mistake is not possible with this model or loss
        if self._has_own_optimizer:
            received = [*received[: reference.weights], *wrong[reference.weights :]]
        if same(wrong, received):
            return Cause(name, exact=True)
        if _far_apart(wrong, received):
            return None
        deviation = self.rounding.deviation(self.before, batches, wrong, received, step)
        return Cause(name, exact=False) if deviation.is_rounding else None


def _far_apart(wrong: State, received: State) -> bool:
    """Return whether two states differ so much that the bound need not be measured."""
    return any(
        one.dtype.kind == "f"
        and one.size
        and not np.abs(one.astype(np.float64) - other).max() <= 0.05 * np.abs(one).max() + 1e-12
        for one, other in zip(wrong, received, strict=True)
    )
