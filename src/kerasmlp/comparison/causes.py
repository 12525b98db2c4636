"""Why a step is wrong, found by experiment: the reference takes each known wrong step.

The wrong step starts from the same state as the step of the loop, on the same batch. If it ends in the
same state, it is a possible cause. A wrong step that differs from the right one by no more than rounding
says nothing, and is left out.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator

from kerasmlp.comparison.other_batches import Other
from kerasmlp.comparison.rounding import StepBound
from kerasmlp.comparison.verdict import State, same
from kerasmlp.comparison.wrong_losses import with_other_losses
from kerasmlp.comparison.wrong_steps import (
    Evidence,
    WrongStep,
    with_forward_passes,
    with_other_data,
    with_other_variables,
)
from kerasmlp.comparison.wrong_updates import with_other_updates
from kerasmlp.loops import has_own_step

NEAR = 16.0
FAR = 100.0
"""A wrong step is a possible cause too if the loop's step is within `NEAR` times the bound from it, and
`FAR` times as far from the right one: the loop may have another formula for the same loss."""


@dataclasses.dataclass(frozen=True)
class Cause:
    """What may be wrong, and whether it gives the loop's state exactly or within rounding."""

    names: tuple[str, ...]
    exact: bool

    def __str__(self) -> str:
        how = "bit for bit" if self.exact else "within rounding"
        if len(self.names) > 1:
            return f"{'; or '.join(self.names)} (each of them gives the loop's step {how})"
        sure = "certain" if self.exact else "very likely"
        return f"{self.names[0]} ({sure}: it gives the loop's step {how})"


def wrong_steps(evidence: Evidence) -> Iterator[WrongStep]:
    """Yield each mistake, the more specific ones of a kind first."""
    if has_own_step(evidence.model):  # its loss and gradients are not known
        return itertools.chain(with_other_variables(evidence), with_other_data(evidence))
    families = (
        with_other_losses,
        with_other_updates,
        with_other_variables,
        with_forward_passes,
        with_other_data,
    )
    return itertools.chain.from_iterable(family(evidence) for family in families)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Compares wrong steps of the reference with a wrong step of a loop, which ends in `received`.

    `right` has the state before it, the batches, and the state after the right step. Only the first
    `compared` variables are compared, if the loop has its own optimizer; None for all of them.
    """

    right: StepBound
    received: State
    evidence: Evidence
    compared: int | None = None

    def find_cause(self, others: Iterable[Other] = ()) -> Cause | None:
        """Return why the step of the loop is wrong; None if no known cause explains it.

        Other batches are tried last, each with the cause that it would be.
        """
        prefix = "" if self.compared is None else "with the loop's own optimizer, "
        found: dict[bool, dict[str, str]] = {True: {}, False: {}}
        for wrong in wrong_steps(self.evidence):
            if found[True].keys() & wrong.kind.split(" and "):
                continue
            exact = self._test(wrong)
            if exact is not None:
                found[exact].setdefault(wrong.kind, prefix + wrong.name)
        for exact, names in found.items():
            if names:
                return Cause(tuple(names.values()), exact)
        if len(self.right.batches) == 1:
            for name, batches in others:
                exact = self._test(WrongStep("batches", name, batches=batches))
                if exact is not None:
                    return Cause((name,), exact)
        return None

    def _test(self, wrong: WrongStep) -> bool | None:
        """Return whether the wrong step gives the loop's state exactly (or within rounding: False).

        None if it does not, or if it is not wrong: then it shows nothing.
        """
        right = self.right
        reference = right.rounding.reference
        batches = right.batches if wrong.batches is None else wrong.batches
        before = right.before if wrong.before is None else wrong.before(right.before)
        try:
            after = reference.take(wrong.step, before, batches)
        except Exception:  # this mistake is not possible with this model, loss or optimizer
            return None
        compared = slice(self.compared)
        found, received = after[compared], self.received[compared]
        if right.are_far_apart(found, received) or right.deviation(after, self.compared).is_rounding:
            return None
        if same(found, received):
            return True
        bound = StepBound(right.rounding, before, batches, after, wrong.step)
        share = bound.deviation(self.received, self.compared).share
        is_near = share <= NEAR and share * FAR <= self._share_of_right
        return False if share <= 1 or is_near else None

    @functools.cached_property
    def _share_of_right(self) -> float:
        return self.right.deviation(self.received, self.compared).share
