"""Why a step is wrong, found by experiment: the reference takes each known wrong step.

The wrong step starts from the same state as the step of the loop, on the same batch. If it ends in the
same state, the cause is found.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from kerasmlp.comparison.reference import RIGHT, Batch, Step
from kerasmlp.comparison.rounding import Rounding
from kerasmlp.comparison.verdict import State, same
from kerasmlp.comparison.wrong_steps import wrong_steps


@dataclasses.dataclass(frozen=True)
class Cause:
    """A cause that explains a wrong step.

    Attributes:
        name: what is wrong with the loop.
        exact: whether the wrong step gives exactly the state of the loop, or one within rounding.
    """

    name: str
    exact: bool

    def __str__(self) -> str:
        """Return the name, and how certain the cause is."""
        certain = "certain: it gives the loop's step bit for bit"
        likely = "very likely: it gives the loop's step within rounding"
        return f"{self.name} ({certain if self.exact else likely})"


def find_cause(
    rounding: Rounding,
    before: State,
    batches: Sequence[Batch],
    received: State,
    other_batches: Iterable[tuple[str, Batch]],
) -> Cause | None:
    """Return why a loop went from `before` to `received`; None if no known cause explains it.

    Args:
        rounding: the bound on rounding, and the reference that takes the steps.
        before: the state before the step of the loop.
        batches: the batches that the loop should have used.
        received: the state after the step of the loop.
        other_batches: batches that the loop may have used instead, with the cause that each would be.
            They are tried last.
    """
    return _Experiment(rounding, before, batches, received).find(other_batches)


class _Experiment:
    """Compares wrong steps of the reference with the step of a loop."""

    def __init__(
        self, rounding: Rounding, before: State, batches: Sequence[Batch], received: State
    ) -> None:
        self._rounding = rounding
        self._reference = rounding.reference
        self._model = rounding.reference.model
        self._before, self._batches, self._received = before, batches, received
        weights = len(self._model.variables)
        # An unchanged optimizer means that the loop has its own one. Then only the weights are compared.
        self._own_optimizer = same(before[weights:], received[weights:])

    def find(self, other_batches: Iterable[tuple[str, Batch]]) -> Cause | None:
        expected = self._reference.take(RIGHT, self._before, self._batches)
        prefix = "with the loop's own optimizer, " if self._own_optimizer else ""
        batch_size = len(self._batches[0][1])
        likely = None
        for name, step in wrong_steps(self._model, self._before, expected, self._received, batch_size):
            cause = self._test(prefix + name, step, self._batches)
            if cause is not None and cause.exact:
                return cause
            likely = likely or cause
        if self._own_optimizer and likely is None:
            name = "the loop has its own optimizer, and the optimizer of the model is never used"
            likely = self._test(name, RIGHT, self._batches)
        if likely is None and len(self._batches) == 1:
            for name, batch in other_batches:
                cause = self._test(name, RIGHT, [batch])
                if cause is not None:
                    return cause
        return likely

    def _test(self, name: str, step: Step, batches: Sequence[Batch]) -> Cause | None:
        """Return the cause if `step` on `batches` gives the state of the loop."""
        try:
            wrong = self._reference.take(step, self._before, batches)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError):
            return None  # this mistake is not possible with this model or loss
        received = self._received
        if self._own_optimizer:
            weights = len(self._model.variables)
            received = [*received[:weights], *wrong[weights:]]
        if same(wrong, received):
            return Cause(name, exact=True)
        if _far_apart(wrong, received):
            return None
        deviation = self._rounding.deviation(self._before, batches, wrong, received, step)
        return Cause(name, exact=False) if deviation is None or deviation.is_rounding else None


def _far_apart(wrong: State, received: State) -> bool:
    """Return whether two states differ so much that the bound need not be measured."""
    for one, other in zip(wrong, received, strict=True):
        if one.dtype.kind == "f" and one.size:
            difference = np.abs(one.astype(np.float64) - other).max()
            if not difference <= 0.05 * np.abs(one).max() + 1e-12:
                return True
    return False
