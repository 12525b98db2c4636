"""How far a state is from the expected one, as a share of a bound on rounding."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from kerasmlp.comparison.verdict import State

FEW = 0.02
"""The share of the numbers of a variable that draws may miss: layers often have 50 units and more."""
TINY = float(np.finfo(np.float32).tiny)
"""The smallest normal number."""


@dataclasses.dataclass(frozen=True)
class Deviation:
    """The path of the variable in which a state differs most from the expected one.

    Attributes:
        size: the largest absolute difference in it.
        bound: the bound on rounding, at the element whose difference is the largest share of it.
        share: the difference at that element divided by `bound`. Above 1, it is more than rounding.
    """

    variable: str
    size: float
    bound: float
    share: float

    @property
    def is_rounding(self) -> bool:
        return self.share <= 1


def largest_deviation(
    paths: Iterable[str], expected: State, received: State, bounds: Iterable[Any]
) -> Deviation:
    """Return where `received` differs most from `expected`, measured by the bounds of each number.

    A counter, as the state of a seed, is it only if no number with a fraction differs by more than
    rounding.
    """
    largest, rank = Deviation("", 0.0, 0.0, -1.0), (False, False, -1.0)
    for path, right, other, bound in zip(paths, expected, received, bounds, strict=False):
        is_counter = right.dtype.kind in "iub"
        right, other, bound = (np.atleast_1d(array.astype(float)) for array in (right, other, bound))
        difference = np.where(np.isnan(right) & np.isnan(other), 0.0, np.abs(other - right))
        difference = np.nan_to_num(difference, nan=np.inf, posinf=np.inf)
        if not difference.size:
            continue
        share = np.nan_to_num(shares(difference, bound), nan=np.inf, posinf=np.inf)
        at = int(share.argmax())
        most = float(share.flat[at])
        if (found := (most > 1, not is_counter, most)) > rank:
            rank = found
            largest = Deviation(path, float(difference.max()), float(bound.flat[at]), most)
    return largest


def shares(difference: Any, bound: Any) -> Any:
    """Return the differences in a variable as shares of their bounds. Above 1, it is more than rounding.

    Up to `FEW` of them, at least one, count as 1 if they are no more than the root mean square of the
    bounds. A mistake in the step is larger, or moves more numbers.
    """
    share = difference / np.maximum(bound, TINY)
    missed = (share > 1) & (difference <= np.sqrt(np.mean(np.square(bound))))
    return np.where(missed, 1.0, share) if missed.sum() <= max(1.0, FEW * missed.size) else share
