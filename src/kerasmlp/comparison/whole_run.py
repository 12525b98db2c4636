"""The whole training by the reference, and how far rounding may move its end.

It holds a loop that hides its steps. Training amplifies rounding, so the amplification is measured: the
reference trains again from weights that are moved a little.
"""

import dataclasses
import functools
import math

import numpy as np

from kerasmlp.comparison.deviation import Deviation, largest_deviation
from kerasmlp.comparison.epoch_metrics import EpochMetrics
from kerasmlp.comparison.reference import Reference
from kerasmlp.comparison.rounding import LAMBDA, Rounding
from kerasmlp.comparison.verdict import State
from kerasmlp.data import Epochs

DRAWS = 3
"""Number of runs from moved weights."""
TELLING = 0.1
"""The end tells something if the bound on rounding is at most this share of what training changed."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """A training that has ended: its final state, the metrics of its epochs, its number of steps."""

    final: State
    metrics: list[EpochMetrics]
    steps: int


def train(reference: Reference, data: Epochs, epochs: int, initial: State) -> Ended:
    """Train with the reference as `fit` does, with its callbacks, from the state `initial`."""
    at, steps, metrics = reference.hear(initial, "train_begin"), 0, []
    for epoch in range(epochs):
        reference.model.reset_metrics()
        at = reference.hear(at, "epoch_begin", epoch)
        metrics.append(EpochMetrics(reference, functools.partial(data.epoch, epoch)))
        for number, batch in enumerate(data.epoch(epoch)):
            before = reference.hear(at, "train_batch_begin", number)
            at = reference.train(before, [batch])
            metrics[-1].add_execution(before, [batch])
            at = reference.hear(at, "train_batch_end", number, {})
            steps += 1
        at = metrics[-1].end(at)
        at = reference.hear(at, "epoch_end", epoch, metrics[-1].results)
        if reference.drives and reference.model.stop_training:
            break
    return Ended(at, metrics, steps)


class WholeRun:
    """The end of the whole training, with the bound on rounding for it."""

    def __init__(self, rounding: Rounding, data: Epochs, epochs: int, initial: State) -> None:
        reference = rounding.reference
        self._paths, self._initial = reference.paths, initial
        right = train(reference, data, epochs, initial)
        distance = LAMBDA * math.sqrt(rounding.longest_sum) * rounding.unit_roundoff
        random = np.random.default_rng(0)
        squares = [np.zeros(value.shape) for value in right.final]
        for _ in range(DRAWS):
            moved = [
                value * (1 + distance * random.standard_normal(value.shape)).astype(value.dtype)
                if value.dtype.kind == "f" and number < reference.weights
                else value
                for number, value in enumerate(initial)
            ]
            other = train(reference, data, epochs, moved)
            pairs = zip(squares, other.final, right.final, strict=True)
            squares = [total + (one.astype(float) - two) ** 2 for total, one, two in pairs]
            for one, two in zip(right.metrics, other.metrics, strict=False):
                for name, value in two.results.items():
                    gap = 2 * math.sqrt(right.steps) * abs(value - one.results[name])
                    one.spread[name] = max(one.spread.get(name, 0.0), gap)
        self.metrics, self.steps = right.metrics, right.steps
        self.final = reference.hear(reference.finalize(right.final), "train_end")
        self._bounds = [
            math.sqrt(right.steps)
            * (np.sqrt(total / DRAWS) + distance * (np.abs(value) + np.abs(value - old)))
            for total, value, old in zip(squares, right.final, initial, strict=True)
        ]

    @property
    def is_telling(self) -> bool:
        """Whether the bound on rounding is small compared with what training changed."""
        pairs = zip(self._bounds, self.final, self._initial, strict=True)
        ratios = [
            float(np.median(bound) / np.abs(value.astype(float) - old).max())
            for bound, value, old in pairs
            if value.dtype.kind == "f" and value.size and not np.array_equal(value, old)
        ]
        return bool(ratios) and float(np.median(ratios)) <= TELLING

    def deviation(self, final: State, compared: int | None) -> Deviation:
        """Return where `final` differs most from the right end, in the first `compared` variables."""
        return largest_deviation(self._paths[:compared], self.final, final, self._bounds)
