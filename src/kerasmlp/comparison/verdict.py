"""The verdict on a loop, and the findings that it is based on. Imports no TensorFlow."""

import dataclasses
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
- failed: the loop raised an error, hung, or died.
"""


PARTIAL_DROPPED = "the last, partial batch of the epoch is dropped"


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

    @classmethod
    def in_number(cls, done: int, right: int, per_epoch: int) -> "Divergence | None":
        """Return the divergence of a loop that takes `done` steps, not `right`; None if they agree."""
        if done == right:
            return None
        epochs, rest = divmod(abs(done - right), per_epoch)
        what = f"the loop ended after {done} steps, not after {right}"
        few = done < right
        if not rest:
            count = "an epoch" if epochs == 1 else f"{epochs} epochs"
            cause = f"{count} too {'few' if few else 'many'}"
        elif few and done % per_epoch == per_epoch - 1:
            cause = PARTIAL_DROPPED
        else:
            cause = f"the loop trains {'nothing' if few else 'on'} after step {min(done, right)}"
        return cls(min(done, right) + 1, what, cause=cause)

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
        predictions: for each output of the trained model, those for the first 1,000 test examples.
        divergence: the first difference from Keras' own steps. None if there is only rounding.
        undecided: why the right steps are not known. None if they are.
        steps: number of steps that were compared with Keras' own.
        steps_in_all: number of steps of the training.
        end_is_seen: whether, for a loop that hides its steps, the end of the training was compared.
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
    predictions: State
    divergence: Divergence | None
    undecided: str | None
    steps: int
    steps_in_all: int
    end_is_seen: bool
    measured: int
    share: float
    has_own_optimizer: bool
    reports_metrics: bool
    unit_roundoff: float
    longest_sum: int
    jit_compile: bool
    steps_per_execution: int

    @property
    def seen(self) -> str:
        """What was compared, in words."""
        if self.end_is_seen and self.steps < self.steps_in_all:
            return f"{self.steps:,} steps, and the end"
        return f"{self.steps:,} of {self.steps_in_all:,} steps"

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
    divergence, undecided = trajectory.divergence, trajectory.undecided
    if undecided is not None and (divergence is None or divergence.size is not None):
        return Outcome(name, "undecided", undecided, trajectory)
    if divergence is not None:
        return Outcome(name, "diverges", str(divergence), trajectory)
    if not (trajectory.steps or trajectory.end_is_seen):
        return Outcome(name, "undecided", "no step of it was seen", trajectory)
    is_identical = (
        isinstance(first, Trajectory)
        and trajectory.ends_like(first)
        and (trajectory.losses == first.losses or not trajectory.losses or not first.losses)
        and all(first.history.get(key, of) == of for key, of in trajectory.history.items())
        and same(trajectory.predictions, first.predictions)
    )
    return Outcome(name, "identical" if is_identical else "equal", None, trajectory)


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
        "weights": _largest(_floats(one.weights), _floats(other.weights)),
        "optimizer": None if other.has_own_optimizer else _largest(one.optimizer, other.optimizer),
        "predictions": _largest(one.predictions, other.predictions),
    }


def _floats(state: State) -> State:
    """Return the arrays of floats: the states of seeds are counters, whose difference is no distance."""
    return [array for array in state if array.dtype.kind not in "iub"]


def _largest(first: State, second: State) -> float | None:
    if [array.shape for array in first] != [array.shape for array in second]:
        return None
    parts = zip(first, second, strict=True)
    gaps = [np.abs(one.astype(np.float64) - other) for one, other in parts if one.size]
    return max((float(gap.max()) for gap in gaps), default=None)
