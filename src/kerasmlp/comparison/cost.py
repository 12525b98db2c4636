"""What the loops cost: each row is timed in its own process (see `timing`), one row at a time."""

import contextlib
import dataclasses
from collections.abc import Sequence

from kerasmlp.comparison.process import Process, RemoteError
from kerasmlp.comparison.progress import RowProgress
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.start import Start
from kerasmlp.comparison.verdict import Cost, Outcome

_READY, _WARM_UP = -1, 0
"""The first turns: the process is ready, and the epoch that warms up. Then follow the timed epochs, 1 to
`repeats`, and the evaluation."""


def measure_costs(
    start: Start,
    rows: Sequence[Row],
    outcomes: Sequence[Outcome],
    repeats: int,
    time_limit: float,
    progress: RowProgress,
) -> list[Outcome]:
    """Time the loops, and return `outcomes` with the costs. Rows that failed are left out.

    The rows take turns, one epoch each, so that other load on the machine affects all of them.
    """
    progress.phase("cost", 1 + repeats)
    found: dict[str, Cost | str] = {}
    with contextlib.ExitStack() as stack:
        running = {
            row.name: stack.enter_context(
                Process("kerasmlp.comparison.timing:time_row", start, row, repeats)
            )
            for row, outcome in zip(rows, outcomes, strict=True)
            if outcome.verdict != "failed"
        }
        for turn in range(_READY, repeats + 2):
            for name, process in list(running.items()):
                result = _take_turn(process, turn, repeats, time_limit)
                if isinstance(result, Cost):
                    progress.finished(name, f"{result.median:.3g} s per epoch")
                if result is not None:
                    found[name] = result
                    running.pop(name).kill()
                progress.done(name, turn + 1)
    return [
        dataclasses.replace(
            outcome,
            cost=cost if isinstance(cost := found.get(outcome.name), Cost) else None,
            cost_failure=cost if isinstance(cost, str) else None,
        )
        for outcome in outcomes
    ]


def _take_turn(process: Process, turn: int, repeats: int, time_limit: float) -> Cost | str | None:
    """Return the cost if this was the last turn, how the row failed, or None."""
    try:
        if turn >= _WARM_UP:
            process.send("your turn")
        message = process.receive(time_limit)
    except RemoteError as error:
        return str(error)
    if isinstance(message, Cost):
        return message
    if turn > repeats and message == "epoch":
        return f"expected the loop to train {1 + repeats} epochs; it trains more"
    return None
