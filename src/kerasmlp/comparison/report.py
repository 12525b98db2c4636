"""The report of a comparison: a JSON file, a figure, and TensorBoard runs. Imports no TensorFlow."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasmlp.comparison import figure
from kerasmlp.comparison.result import Comparison
from kerasmlp.comparison.verdict import differences
from kerasmlp.processes import Process, RemoteError, Starter
from kerasmlp.runs import environment, run_folder

_SECONDS_TO_WRITE = 600.0


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


def write(comparison: Comparison, folder: Path, processes: Starter) -> None:
    """Write `comparison.json`, `comparison.png` and a TensorBoard run for each row into `folder`.

    One of `processes` writes the runs, since TensorBoard's writer imports TensorFlow. If it cannot,
    raise an `OSError`.
    """
    run_folder.write_json(folder / "comparison.json", as_json(comparison))
    (folder / "comparison.png").write_bytes(figure.png(comparison))
    program = "kerasmlp.comparison.runs:write"
    with Process(program, comparison, folder, launch=processes.launch) as process:
        try:
            process.receive(_SECONDS_TO_WRITE)
        except RemoteError as error:
            raise OSError(f"the TensorBoard runs of the report: {error}") from None


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
