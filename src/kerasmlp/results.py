"""What a comparison finds: the verdict on each loop, what each costs, and the tables. No TensorFlow."""

import dataclasses
import io
import math
import statistics
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

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


def _table(title: str, caption: str, words: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(
        title=title, caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for word in words:
        table.add_column(word, no_wrap=True)
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        outcomes: one for each row; the first is what the others are held against.
        settings: the data, epochs, batch size, seed and timed epochs.
    """

    outcomes: tuple[Outcome, ...]
    settings: dict[str, Any]

    @property
    def agree(self) -> bool:
        """Whether all loops are identical or equal."""
        return all(outcome.verdict in ("identical", "equal") for outcome in self.outcomes)

    @property
    def diagnosis(self) -> str:
        """Each loop that does not agree, and why: a line each."""
        return "\n".join(
            f"{outcome.name} {outcome.verdict}: {outcome.reason}"
            for outcome in self.outcomes
            if outcome.reason is not None
        )

    def agreement_table(self) -> Table:
        """Return the verdicts, and how far each loop ends from the first."""
        caption = (
            "steps: compared in lockstep; bound: the largest part of the bound on rounding reached;"
            " then the largest differences from the first row: losses, weights, optimizer, predictions"
        )
        columns = ("steps", "bound", "losses", "weights", "optim.", "pred.")
        table = _table("Agreement", caption, ("loop", "verdict"), columns)
        first = self.outcomes[0].trajectory
        for outcome in self.outcomes:
            trajectory, cells = outcome.trajectory, ["-"] * len(columns)
            if trajectory is not None:
                share = f"{trajectory.share:.0%}" if trajectory.measured else "0"
                share = "over" if outcome.verdict == "diverges" else share
                gaps = differences(first, trajectory).values() if first is not None else [None] * 4
                numbers = ["-" if gap is None else f"{gap:.0e}" if gap else "0" for gap in gaps]
                cells = [f"{trajectory.steps:,}", share, *numbers]
            table.add_row(outcome.name, outcome.verdict, *cells)
        return table

    def cost_table(self) -> Table:
        """Return what each loop costs."""
        caption = (
            "s/epoch: median of the timed epochs, the least and the most; first: seconds to the end of"
            " the first execution, tracing and compiling included; eval.: seconds for the test examples;"
            " MB: peak memory; x: times the first row"
        )
        columns = ("s/epoch", "least", "most", "steps/s", "first", "eval.", "MB", "x")
        table = _table("Cost", caption, ("loop",), columns)
        base = self.outcomes[0].cost
        for outcome in self.outcomes:
            cost, cells = outcome.cost, ["-"] * len(columns)
            if cost is not None:
                first_step = cost.seconds_to_first_step
                seconds = cost.seconds_per_epoch
                cells = [
                    f"{cost.median:.3f}" + ("" if cost.by_epoch else "*"),
                    f"{min(seconds):.3f}",
                    f"{max(seconds):.3f}",
                    f"{cost.steps_per_second:,.0f}",
                    "-" if first_step is None else f"{first_step:.2f}",
                    f"{cost.seconds_to_evaluate:.3f}",
                    f"{cost.peak_megabytes:,.0f}",
                    "-" if base is None else f"{cost.median / base.median:.2f}",
                ]
            table.add_row(outcome.name, *cells)
        return table

    def notes(self) -> list[str]:
        """Return what the tables cannot say."""
        lines = self.diagnosis.splitlines()
        for outcome in self.outcomes:
            if outcome.cost_failure is not None:
                lines.append(f"{outcome.name}: its cost could not be measured: {outcome.cost_failure}")
            elif outcome.cost is not None and not outcome.cost.by_epoch:
                lines.append(
                    f"{outcome.name}* calls no epoch hooks: whole calls of one epoch are timed,"
                    " tracing included"
                )
        return lines

    def show(self, console: Console) -> None:
        """Print the tables and the notes."""
        console.print(self.agreement_table())
        if any(outcome.cost or outcome.cost_failure for outcome in self.outcomes):
            console.print(self.cost_table())
        for line in self.notes():
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    def __str__(self) -> str:
        """Return the tables and the notes as plain text."""
        text = io.StringIO()
        self.show(Console(file=text, width=110, no_color=True))
        return text.getvalue()
