"""What the loops cost: each row is timed in its own process (see `timing`), one row at a time."""

import contextlib
import dataclasses
from collections.abc import Sequence

from kerasmlp.comparison.progress import RowProgress
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.start import Start
from kerasmlp.comparison.verdict import Cost, Outcome
from kerasmlp.processes import Process, RemoteError, Starter

FEWEST = 3
"""How many epochs are timed at least."""
SECONDS = 4.0
"""When the timed epochs of a loop have taken so long, no more than `FEWEST` are timed."""


def measure_costs(
    start: Start,
    rows: Sequence[Row],
    outcomes: Sequence[Outcome],
    repeats: int,
    time_limit: float,
    processes: Starter,
    progress: RowProgress,
) -> list[Outcome]:
    """Time the loops, and return `outcomes` with the costs. Rows that failed are left out.

    The rows take turns, one epoch each, so that other load on the machine affects all of them.
    `repeats` epochs are timed; of loops whose epochs take long `FEWEST`, once they took `SECONDS`.
    """
    progress.phase("cost", repeats + 2)
    costs: dict[str, Cost] = {}
    failures: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        running = {
            row.name: stack.enter_context(
                Process(
                    "kerasmlp.comparison.timing:time_row", start, row, repeats, launch=processes.launch
                )
            )
            for row, outcome in zip(rows, outcomes, strict=True)
            if outcome.verdict != "failed"
        }
        for name in running:
            progress.starting(name)
        # Turn 0: the process is ready. Then follow the evaluation, the warm-up, and the timed epochs.
        for turn in range(repeats + 3):
            for name, process in list(running.items()):
                try:
                    if turn:
                        process.send("your turn")
                    message = process.receive(time_limit)
                    progress.done(name, turn)
                    if isinstance(message, Cost) and _is_enough(message, repeats):
                        costs[name] = message
                        progress.ended(name, f"{message.median:.3g} s per epoch")
                except RemoteError as error:
                    failures[name] = str(error)
                    progress.ended(name, "not measured")
                if name in costs or name in failures:
                    running.pop(name).kill()
    return [
        dataclasses.replace(
            outcome, cost=costs.get(outcome.name), cost_failure=failures.get(outcome.name)
        )
        for outcome in outcomes
    ]


def _is_enough(cost: Cost, repeats: int) -> bool:
    """Return whether enough epochs were timed."""
    timed = cost.seconds_per_epoch
    return len(timed) >= repeats or (len(timed) >= FEWEST and sum(timed) > SECONDS)
