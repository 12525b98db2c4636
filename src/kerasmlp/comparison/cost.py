"""What the loops cost: each row is timed in its own process (see `timing`), one row at a time."""

import contextlib
import dataclasses
from collections.abc import Sequence

from kerasmlp.comparison.forks import ForkServer
from kerasmlp.comparison.process import Process, RemoteError
from kerasmlp.comparison.progress import RowProgress
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.start import Start
from kerasmlp.comparison.verdict import Cost, Outcome


def measure_costs(
    start: Start,
    rows: Sequence[Row],
    outcomes: Sequence[Outcome],
    repeats: int,
    time_limit: float,
    forks: ForkServer,
    progress: RowProgress,
) -> list[Outcome]:
    """Time the loops, and return `outcomes` with the costs. Rows that failed are left out.

    The rows take turns, one epoch each, so that other load on the machine affects all of them.
    """
    progress.phase("cost", 1 + repeats)
    costs: dict[str, Cost] = {}
    failures: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        running = {
            row.name: stack.enter_context(
                Process("kerasmlp.comparison.timing:time_row", start, row, repeats, launch=forks.launch)
            )
            for row, outcome in zip(rows, outcomes, strict=True)
            if outcome.verdict != "failed"
        }
        # Turn -1: the process is ready. Then follow the warm-up, the timed epochs and the evaluation.
        for turn in range(-1, repeats + 2):
            for name, process in list(running.items()):
                try:
                    cost = _take_turn(process, turn, repeats, time_limit)
                    if cost is not None:
                        costs[name] = cost
                        progress.ended(name, f"{cost.median:.3g} s per epoch")
                except RemoteError as error:
                    failures[name] = str(error)
                if name in costs or name in failures:
                    running.pop(name).kill()
                progress.done(name, turn + 1)
    return [
        dataclasses.replace(
            outcome, cost=costs.get(outcome.name), cost_failure=failures.get(outcome.name)
        )
        for outcome in outcomes
    ]


def _take_turn(process: Process, turn: int, repeats: int, time_limit: float) -> Cost | None:
    """Return the cost if this was the last turn."""
    if turn >= 0:
        process.send("your turn")
    message = process.receive(time_limit)
    if turn > repeats and message == "epoch":
        raise RemoteError(f"expected the loop to train {1 + repeats} epochs; it trains more")
    return message if isinstance(message, Cost) else None
