"""The report of a comparison: its JSON, its figure, and its runs side by side in TensorBoard."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from kerasmlp.comparison.result import Comparison
from kerasmlp.comparison.verdict import Outcome, Trajectory, differences
from kerasmlp.runs import environment, run_folder
from kerasmlp.tensorboard import Events, hparams

JSON = "comparison.json"
FIGURE = "comparison.png"


@contextlib.contextmanager
def folder(output: str | Path | None) -> Iterator[Path]:
    """Make the folder of a report for as long as it is worked on; one that stays empty goes again.

    Args:
        output: the path; None for a new one in `logs`.

    Raises:
        FileExistsError: it exists.
        OSError: it cannot be made.
    """
    if output is None:
        made = run_folder.create(run_folder.LOGS, None, "compare")
    else:
        made = Path(output)
        if made.exists():
            raise FileExistsError(f"--output: expected the path of a new folder; {made} exists")
        made.mkdir(parents=True)
    try:
        yield made
    finally:
        with contextlib.suppress(OSError):  # it holds a report
            made.rmdir()


def write(comparison: Comparison, folder: Path) -> None:
    """Write the report into `folder`: `comparison.json`, `comparison.png`, and a run for each row.

    Raises:
        OSError: it cannot be written.
    """
    run_folder.write_json(folder / JSON, as_json(comparison))
    figure(comparison).savefig(folder / FIGURE, dpi=120)
    _tensorboard(comparison, folder)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return what `comparison.json` holds."""
    first = comparison.outcomes[0].trajectory
    rows = []
    for outcome in comparison.outcomes:
        trajectory, cost = outcome.trajectory, outcome.cost
        row: dict[str, Any] = {
            "name": outcome.name,
            "verdict": outcome.verdict,
            "reason": outcome.reason,
        }
        if trajectory is not None:
            divergence = trajectory.divergence
            row |= {
                "divergence": dataclasses.asdict(divergence) if divergence is not None else None,
                "steps_in_lockstep": trajectory.steps,
                "executions_measured": trajectory.measured,
                "largest_share_of_bound": trajectory.share,
                "unit_roundoff": trajectory.unit_roundoff,
                "longest_sum": trajectory.longest_sum,
                "differences_from_first": differences(first, trajectory) if first else None,
                "history": trajectory.history,
                "losses": trajectory.losses,
            }
        if cost is not None:
            row["cost"] = {
                **dataclasses.asdict(cost),
                "median_seconds_per_epoch": cost.median,
                "steps_per_second": cost.steps_per_second,
            }
        row["cost_failure"] = outcome.cost_failure
        rows.append(row)
    return {
        "agree": comparison.agree,
        "settings": comparison.settings,
        "rows": rows,
        **environment(),
    }


def explanation(comparison: Comparison) -> str:
    """Return how the bound on rounding is derived, and how much of it each loop reached."""
    from kerasmlp.comparison import reference as lockstep

    lines = ["", "How the bound on rounding is derived", "", lockstep.__doc__ or "", "Here:"]
    for outcome in comparison.outcomes:
        trajectory = outcome.trajectory
        if trajectory is None:
            continue
        steps, measured = trajectory.steps, trajectory.measured
        lines.append(
            f"- {outcome.name}: {steps:,} steps in lockstep; {measured:,} executions, rounded otherwise,"
            f" were measured and reached at most {trajectory.share:.1%} of the bound;"
            f" u = {trajectory.unit_roundoff:.3g}, n = {trajectory.longest_sum:,}"
        )
    return "\n".join(lines)


def figure(comparison: Comparison) -> Figure:
    """Return the losses over the steps, how far they are from the first row's, and the costs."""
    drawn = Figure(figsize=(11, 7), layout="constrained")
    grid = drawn.add_gridspec(2, 2, width_ratios=(2, 1))
    losses = drawn.add_subplot(grid[0, 0])
    gaps = drawn.add_subplot(grid[1, 0], sharex=losses)
    bars = drawn.add_subplot(grid[:, 1])
    scale = "linear"
    first = comparison.outcomes[0].trajectory
    for number, outcome in enumerate(comparison.outcomes):
        trajectory = outcome.trajectory
        if trajectory is not None and trajectory.losses:
            steps = np.arange(1, len(trajectory.losses) + 1)
            style: dict[str, Any] = {
                "color": f"C{number}",
                "linewidth": 1,
                "linestyle": ("-", "--", ":")[number % 3],
            }
            losses.plot(steps, trajectory.losses, label=outcome.name, **style)
            if first is not None and number and first.losses:
                both = min(len(steps), len(first.losses))
                gap = np.abs(np.subtract(trajectory.losses[:both], first.losses[:both]))
                scale = "log" if gap.any() else scale
                label = outcome.name if gap.any() else f"{outcome.name}: 0 at every step"
                gaps.plot(steps[:both], gap, label=label, **style)
        if outcome.cost is not None:
            seconds = outcome.cost.seconds_per_epoch
            median = outcome.cost.median
            spread = [[median - min(seconds)], [max(seconds) - median]]
            bars.barh(outcome.name, median, xerr=spread, color=f"C{number}")
    losses.set(ylabel="loss of each step", yscale="log")
    gaps.set(xlabel="step", ylabel=f"difference from {comparison.outcomes[0].name}", yscale=scale)
    bars.set(xlabel="seconds an epoch: median, least, most")
    bars.invert_yaxis()
    for axes in (losses, gaps):
        if axes.lines:
            axes.legend(fontsize="small")
    return drawn


def _tensorboard(comparison: Comparison, folder: Path) -> None:
    """Write a run for each row: the loss of each step, the metrics of each epoch, and HParams."""
    events = Events(folder)
    with contextlib.closing(events):
        for outcome in comparison.outcomes:
            if outcome.trajectory is not None:
                sub_run = outcome.name.replace("/", "_")
                _row(events, sub_run, outcome, outcome.trajectory, comparison.settings)


def _row(
    events: Events,
    sub_run: str,
    outcome: Outcome,
    trajectory: Trajectory,
    settings: dict[str, Any],
) -> None:
    for step, loss in enumerate(trajectory.losses, 1):
        events.write(sub_run, step, scalar_pb, {"loss/batch": loss})
    for name, epochs in trajectory.history.items():
        for epoch, value in enumerate(epochs, 1):
            step = epoch * settings["steps_per_epoch"]
            events.write(sub_run, step, scalar_pb, {f"{name}/running": value})
    final = {name: epochs[-1] for name, epochs in trajectory.history.items()}
    if outcome.cost is not None:
        final["seconds_per_epoch"] = outcome.cost.median
        final["steps_per_second"] = outcome.cost.steps_per_second
        final["peak_megabytes"] = outcome.cost.peak_megabytes
    values = settings | {
        "loop": outcome.name,
        "jit_compile": trajectory.jit_compile,
        "steps_per_execution": trajectory.steps_per_execution,
    }
    last = settings["epochs"] * settings["steps_per_epoch"]
    hparams.write(events, f"{events.folder.name}/{sub_run}", sub_run, last, values, final)
