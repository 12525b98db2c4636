"""What a comparison finds of each loop: the verdict, and what it costs. No TensorFlow."""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

State = list[NDArray[Any]]
Verdict = Literal["identical", "equal", "diverges", "failed"]

VERDICTS: dict[Verdict, str] = {
    "identical": "bit for bit: losses, metrics, weights, optimizer, predictions",
    "equal": "each step compared is Keras' own step, within rounding",
    "diverges": "a step is not Keras' own step, by more than rounding",
    "failed": "the loop raised, hung, died, or returned no metrics",
}


@dataclasses.dataclass(frozen=True)
class Divergence:
    """The first place where a loop parts from Keras' own steps by more than rounding.

    Attributes:
        step: the number of the step, from 1, or the last one before it shows.
        what: the variable or the metric that is furthest out, or what happened.
        size: its largest absolute difference; None where there is no number to give.
        bound: what rounding explains of it.
        cause: what explains it, with how sure that is; None if nothing known does.
    """

    step: int
    what: str
    size: float | None = None
    bound: float = 0.0
    cause: str | None = None

    def __str__(self) -> str:
        """Return it as a sentence."""
        size = "" if self.size is None else f" by {self.size:.2g}"
        size += f", where rounding explains {self.bound:.2g}" if size and self.bound else ""
        return f"step {self.step}: {self.what}{size}; cause: {self.cause or 'unknown'}"


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """What a loop did, to be held against another's.

    Attributes:
        losses: of every step; empty if the loop does not compute them with `compute_loss`.
        history: the metrics of each epoch, as the loop returned them.
        weights: at the end, statistics and seeds included.
        optimizer: its variables at the end.
        predictions: of the trained model on the first 1,000 test examples, `[examples, ...]`.
        divergence: from Keras' own steps, in lockstep; None within rounding.
        steps: that were compared in lockstep.
        measured: executions of them that were not equal bit for bit, and whose rounding was measured.
        share: of the bound on rounding, the largest part that a step of the loop reached.
        unit_roundoff: of the arithmetic.
        longest_sum: terms of the longest sum in a step.
        jit_compile: whether its model was compiled with XLA.
        steps_per_execution: of its model.
    """

    losses: list[float]
    history: dict[str, list[float]]
    weights: State
    optimizer: State
    predictions: NDArray[Any]
    divergence: Divergence | None
    steps: int
    measured: int
    share: float
    unit_roundoff: float
    longest_sum: int
    jit_compile: bool
    steps_per_execution: int


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a loop costs.

    Attributes:
        seconds_per_epoch: of each timed epoch; the first one, which warms up, is left out.
        steps_per_epoch: batches of an epoch.
        seconds_to_first_step: from the call of the loop to the end of its first execution: tracing and
            compiling. None if the loop calls no batch hooks.
        seconds_to_evaluate: the median time of `model.evaluate` on the test examples, after one that
            traces.
        peak_megabytes: the most memory that the process has had, TensorFlow and the data included.
        by_epoch: whether epochs were timed one by one. Of a loop that calls no epoch hooks whole calls
            of one epoch are timed, with all that it does anew in each.
    """

    seconds_per_epoch: list[float]
    steps_per_epoch: int
    seconds_to_first_step: float | None
    seconds_to_evaluate: float
    peak_megabytes: float
    by_epoch: bool

    @property
    def median(self) -> float:
        """Of the seconds an epoch."""
        return statistics.median(self.seconds_per_epoch)

    @property
    def steps_per_second(self) -> float:
        """In the median epoch."""
        return self.steps_per_epoch / self.median


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was found about a loop.

    Attributes:
        name: of its row.
        verdict: one of `VERDICTS`.
        reason: the diagnosis of a loop that diverges, or how it failed; None for one that agrees.
        trajectory: what it did; None if it failed.
        cost: what it costs; None if that was not asked for, or failed.
        cost_failure: how measuring the cost failed.
    """

    name: str
    verdict: Verdict
    reason: str | None
    trajectory: Trajectory | None
    cost: Cost | None = None
    cost_failure: str | None = None


def judge(name: str, trajectory: Trajectory, first: Trajectory | None) -> Outcome:
    """Return the verdict on a loop.

    Args:
        name: of its row.
        trajectory: what it did.
        first: what the first row did; None if it failed, so that only Keras' steps are left to compare.
    """
    divergence = trajectory.divergence
    if divergence is None and first is not None:
        divergence = _reported_otherwise(trajectory, first)
    if divergence is not None:
        return Outcome(name, "diverges", str(divergence), trajectory)
    same = first is not None and _identical(trajectory, first)
    return Outcome(name, "identical" if same else "equal", None, trajectory)


def _identical(one: Trajectory, other: Trajectory) -> bool:
    return (
        (one.losses == other.losses or not one.losses or not other.losses)
        and one.history == other.history
        and one.predictions.tobytes() == other.predictions.tobytes()
        and _same_end(one, other)
    )


def _same_end(one: Trajectory, other: Trajectory) -> bool:
    return same([*one.weights, *one.optimizer], [*other.weights, *other.optimizer])


def _reported_otherwise(trajectory: Trajectory, first: Trajectory) -> Divergence | None:
    """Return where a loop that ends as the first one does returns other metrics than that does."""
    if not _same_end(trajectory, first):
        return None  # the metrics of chaotic runs need not agree; each epoch's are held to its steps
    for name, values in first.history.items():
        received = trajectory.history.get(name, [])
        if len(received) != len(values):
            what = f"{len(received)} values of {name} are returned, one for each epoch is {len(values)}"
            return Divergence(trajectory.steps, what, cause="the loop returns other metrics")
        for epoch, (one, other) in enumerate(zip(values, received, strict=True)):
            if not math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-6):
                what = f"{name} of epoch {epoch + 1}, as returned, is {other:.6g}, not {one:.6g},"
                return Divergence(trajectory.steps, what, abs(one - other))
    return None


def same(first: Sequence[NDArray[Any]], second: Sequence[NDArray[Any]]) -> bool:
    """Whether two states are equal bit for bit."""
    return len(first) == len(second) and all(
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        for one, other in zip(first, second, strict=True)
    )


def differences(one: Trajectory, other: Trajectory) -> dict[str, float | None]:
    """Return the largest absolute difference of losses, weights, optimizer state and predictions."""
    return {
        "losses": _largest([np.array(one.losses)], [np.array(other.losses)]),
        "weights": _largest(one.weights, other.weights),
        "optimizer": _largest(one.optimizer, other.optimizer),
        "predictions": _largest([one.predictions], [other.predictions]),
    }


def _largest(first: State, second: State) -> float | None:
    if [array.shape for array in first] != [array.shape for array in second]:
        return None
    parts = zip(first, second, strict=True)
    gaps = [np.abs(one.astype(np.float64) - other) for one, other in parts if one.size]
    return max((float(gap.max()) for gap in gaps), default=None)
