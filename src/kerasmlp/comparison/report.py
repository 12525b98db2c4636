"""The report of a comparison: a JSON file, a figure, and a TensorBoard run for each row."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from kerasmlp.comparison.result import Comparison
from kerasmlp.comparison.verdict import differences
from kerasmlp.runs import environment, run_folder
from kerasmlp.tensorboard import Events, hparams


@contextlib.contextmanager
def folder(output: str | Path | None) -> Iterator[Path]:
    """A context with the new folder of a report. If the folder is empty at the end, it is removed.

    With None, it is a new folder in `logs`. If `output` exists, raise a `FileExistsError`.
    """
    if output is None:
        made = run_folder.create(run_folder.LOGS, None, "compare")
    else:
        made = Path(output)
        if made.exists():
            what = f"--output: expected the path of a new folder; received {made}, which exists"
            raise FileExistsError(what)
        made.mkdir(parents=True)
    try:
        yield made
    finally:
        with contextlib.suppress(OSError):  # the folder contains a report
            made.rmdir()


def write(comparison: Comparison, folder: Path) -> None:
    """Write `comparison.json`, `comparison.png` and a TensorBoard run for each row into `folder`."""
    run_folder.write_json(folder / "comparison.json", as_json(comparison))
    figure(comparison).savefig(folder / "comparison.png", dpi=120)
    _write_events(comparison, folder)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return the content of `comparison.json`."""
    first = comparison.outcomes[0].trajectory
    rows = []
    for outcome in comparison.outcomes:
        trajectory, cost = outcome.trajectory, outcome.cost
        row: dict[str, Any] = {name: getattr(outcome, name) for name in ("name", "verdict", "reason")}
        if trajectory is not None:
            divergence = trajectory.divergence
            row |= {
                "divergence": divergence and dataclasses.asdict(divergence),
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
    result = {"agree": comparison.agree, "settings": comparison.settings, "rows": rows}
    return result | environment()


def explanation(comparison: Comparison) -> str:
    """Return how the bound on rounding is derived, and its figures for each row."""
    from kerasmlp.comparison import rounding  # imports TensorFlow

    title = "How the bound on rounding is derived"
    lines = ["", title, "", rounding.__doc__ or "", "In this comparison:"]
    lines += [
        f"- {outcome.name}: {found.steps:,} steps compared; bound measured for {found.measured:,}"
        f" executions, which were not identical; largest difference: {found.share:.1%} of the bound;"
        f" u = {found.unit_roundoff:.3g}, n = {found.longest_sum:,}"
        for outcome in comparison.outcomes
        if (found := outcome.trajectory) is not None
    ]
    return "\n".join(lines)


def figure(comparison: Comparison) -> Figure:
    """Return the figure: the loss of each step, its difference from the first row, and the costs."""
    drawn = Figure(figsize=(11, 7), layout="constrained")
    grid = drawn.add_gridspec(2, 2, width_ratios=(2, 1))
    losses, bars = drawn.add_subplot(grid[0, 0]), drawn.add_subplot(grid[:, 1])
    gaps = drawn.add_subplot(grid[1, 0], sharex=losses)
    scale = "linear"
    first = comparison.outcomes[0].trajectory
    for number, outcome in enumerate(comparison.outcomes):
        trajectory = outcome.trajectory
        if trajectory is not None and trajectory.losses:
            steps = np.arange(1, len(trajectory.losses) + 1)
            pattern = ("-", "--", ":")[number % 3]
            style: dict[str, Any] = {"color": f"C{number}", "linewidth": 1, "linestyle": pattern}
            losses.plot(steps, trajectory.losses, label=outcome.name, **style)
            if first is not None and number and first.losses:
                both = min(len(steps), len(first.losses))
                gap = np.abs(np.subtract(trajectory.losses[:both], first.losses[:both]))
                scale = "log" if gap.any() else scale
                label = outcome.name if gap.any() else f"{outcome.name}: 0 at every step"
                gaps.plot(steps[:both], gap, label=label, **style)
        if outcome.cost is not None:
            seconds, median = outcome.cost.seconds_per_epoch, outcome.cost.median
            spread = [[median - min(seconds)], [max(seconds) - median]]
            bars.barh(outcome.name, median, xerr=spread, color=f"C{number}")
    losses.set(ylabel="loss of each step", yscale="log")
    gaps.set(xlabel="step", ylabel=f"difference from {comparison.outcomes[0].name}", yscale=scale)
    bars.set(xlabel="seconds per epoch: median, minimum, maximum")
    bars.invert_yaxis()
    for axes in (losses, gaps):
        if axes.lines:
            axes.legend(fontsize="small")
    return drawn


def _write_events(comparison: Comparison, folder: Path) -> None:
    """Write a run for each row: the loss of each step, the metrics of each epoch, HParams."""
    settings = comparison.settings
    per_epoch = settings["steps_per_epoch"]
    with contextlib.closing(Events(folder)) as events:
        for outcome in comparison.outcomes:
            trajectory, sub_run = outcome.trajectory, outcome.name.replace("/", "_")
            if trajectory is None:
                continue
            for step, loss in enumerate(trajectory.losses, 1):
                events.write(sub_run, step, scalar_pb, {"loss/batch": loss})
            for name, epochs in trajectory.history.items():
                for epoch, value in enumerate(epochs, 1):
                    events.write(sub_run, epoch * per_epoch, scalar_pb, {f"{name}/running": value})
            final = {name: epochs[-1] for name, epochs in trajectory.history.items()}
            if (cost := outcome.cost) is not None:
                final |= {"seconds_per_epoch": cost.median, "steps_per_second": cost.steps_per_second}
                final["peak_megabytes"] = cost.peak_megabytes
            values = settings | {
                "loop": outcome.name,
                "jit_compile": trajectory.jit_compile,
                "steps_per_execution": trajectory.steps_per_execution,
            }
            last = settings["epochs"] * per_epoch
            hparams.write(events, sub_run, last, values, final)
