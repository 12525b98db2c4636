"""The verdict on a loop, and the findings that it is based on. Imports no TensorFlow."""

import dataclasses
import math
import statistics
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

State = list[NDArray[Any]]
"""The values of all variables that a step changes, except metrics: the model's, then the optimizer's."""
Verdict = Literal["identical", "equal", "diverges", "undecided", "failed"]
"""The verdict on a loop:

- identical: losses, metrics, weights, optimizer and predictions have the same bits as the first row's.
- equal: each step that was compared is Keras' own step, within rounding.
- diverges: a step differs from Keras' own step by more than rounding.
- undecided: the truth cannot be had; the reason says why, for example random draws outside Keras' seeds.
- failed: the loop raised an error, hung, died, or returned no metrics.
"""


@dataclasses.dataclass(frozen=True)
class Divergence:
    """The first difference between a loop and Keras' own steps that is more than rounding.

    Attributes:
        step: counted from 1. For a metric, the last step of the epoch.
        what: the variable or the metric that differs most, or what happened.
        size: the largest absolute difference. None if there is no such number.
        cause: the cause, and how certain it is. None if it is unknown.
    """

    step: int
    what: str
    size: float | None = None
    bound: float = 0.0
    cause: str | None = None

    def __str__(self) -> str:
        size = "" if self.size is None else f" differs by {self.size:.2g}"
        size += f" (bound on rounding: {self.bound:.2g})" if size and self.bound else ""
        return f"step {self.step}: {self.what}{size}; cause: {self.cause or 'unknown'}"


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """What a loop did, and how its steps compare with Keras' own.

    Attributes:
        losses: the loss of each step. Empty if the loop does not compute it with `compute_loss`.
        history: the metrics of each epoch, as the loop returned them.
        weights, optimizer: the state at the end. The weights include statistics and seeds.
        predictions: of the trained model on the first 1,000 test examples, `[examples, ...]`.
        divergence: the first difference from Keras' own steps. None if there is only rounding.
        steps: number of steps that were compared with Keras' own.
        measured: number of executions that were not identical, and for which the bound was measured.
        share: the largest difference in a step, as a share of the bound on rounding.
        reports_metrics: whether the loop returns metrics, and updates those of the model.
        has_own_optimizer: whether the loop left the model's optimizer as it was, and has its own.
        unit_roundoff, longest_sum: see `Rounding`.
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
    has_own_optimizer: bool
    reports_metrics: bool
    unit_roundoff: float
    longest_sum: int
    jit_compile: bool
    steps_per_execution: int

    def ends_like(self, other: "Trajectory") -> bool:
        """Return whether the states at the end are the same, bit for bit."""
        optimizers = self.has_own_optimizer or same(self.optimizer, other.optimizer)
        return optimizers and same(self.weights, other.weights)


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a loop costs.

    Attributes:
        seconds_per_epoch: the time of each epoch, without the one that warms up.
        seconds_to_first_step: from the call of the loop to the end of its first execution, with tracing
            and compiling. None if the loop calls no batch hooks.
        seconds_to_evaluate: the median time of `model.evaluate` on the test examples, without tracing.
        peak_megabytes: the peak memory of the process in MiB, with TensorFlow and the data.
        by_epoch: whether the epochs of one call were timed. For a loop that calls no epoch hooks, calls
            for one epoch are timed instead, with the tracing in each call.
    """

    seconds_per_epoch: list[float]
    steps_per_epoch: int
    seconds_to_first_step: float | None
    seconds_to_evaluate: float
    peak_megabytes: float
    by_epoch: bool

    @property
    def median(self) -> float:
        """The median seconds per epoch."""
        return statistics.median(self.seconds_per_epoch)

    @property
    def steps_per_second(self) -> float:
        """Steps per second in the median epoch."""
        return self.steps_per_epoch / self.median


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result for one row. `trajectory` is None if the loop failed, `cost` if it was not measured.

    `reason` says why the loop diverges or how it failed; it is None if the loop agrees.
    """

    name: str
    verdict: Verdict
    reason: str | None
    trajectory: Trajectory | None
    cost: Cost | None = None
    cost_failure: str | None = None


def judge(name: str, trajectory: Trajectory | str, first: Trajectory | str | None) -> Outcome:
    """Return the verdict on the loop of a row. A text instead of a trajectory says how it failed."""
    if isinstance(trajectory, str):
        return Outcome(name, "failed", trajectory, None)
    divergence, is_identical = trajectory.divergence, False
    if isinstance(first, Trajectory) and trajectory.ends_like(first):
        reports = trajectory.reports_metrics
        divergence = divergence or (_returned_metrics_differ(trajectory, first) if reports else None)
        is_identical = (
            (trajectory.losses == first.losses or not trajectory.losses or not first.losses)
            and (trajectory.history == first.history or not reports)
            and trajectory.predictions.tobytes() == first.predictions.tobytes()
        )
    if divergence is not None:
        return Outcome(name, "diverges", str(divergence), trajectory)
    return Outcome(name, "identical" if is_identical else "equal", None, trajectory)


def _returned_metrics_differ(trajectory: Trajectory, first: Trajectory) -> Divergence | None:
    """Return where the returned metrics differ from the first row's although the final states are equal.

    Where the final states differ by rounding, the metrics may differ too. For these loops only the
    metrics that they pass to `on_epoch_end` are checked, against the loop's own steps.
    """
    for name, values in first.history.items():
        received = trajectory.history.get(name, [])
        if len(received) != len(values):
            what = f"the loop returned {len(received)} values of {name} for {len(values)} epochs"
            return Divergence(trajectory.steps, what, cause="the loop returns wrong metrics")
        for epoch, (one, other) in enumerate(zip(values, received, strict=True)):
            if not math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-6):
                what = f"the returned {name} of epoch {epoch + 1} ({other:.6g}, expected {one:.6g})"
                return Divergence(trajectory.steps, what, abs(one - other))
    return None


def same(first: State, second: State) -> bool:
    """Return whether two lists of arrays have the same types, shapes and bits."""
    return len(first) == len(second) and all(
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        for one, other in zip(first, second, strict=True)
    )


def differences(one: Trajectory, other: Trajectory) -> dict[str, float | None]:
    """Return the largest absolute difference of each part; None if the shapes differ."""
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
