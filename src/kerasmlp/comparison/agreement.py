"""Whether the loops agree: each row is checked in its own process (see `trajectory`)."""

import concurrent.futures
import os
from collections.abc import Sequence

from kerasmlp.comparison.progress import RowProgress
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.start import Start
from kerasmlp.comparison.verdict import Outcome, State, Trajectory, judge
from kerasmlp.processes import Process, RemoteError, Starter


def check_agreement(
    start: Start,
    rows: Sequence[Row],
    epochs: int,
    time_limit: float,
    processes: Starter,
    progress: RowProgress,
) -> list[Outcome]:
    """Check the loop of each row, and return the verdicts.

    One process for each CPU runs at a time, since no time is measured here. All rows start with the
    initial weights of the first row, which is the first to run. If it fails before it has a model, raise
    a `ValueError`. Then run the rows of the eager loop, which take longest.
    """
    initial: concurrent.futures.Future[State] = concurrent.futures.Future()
    started: list[Process] = []

    def check_row(row: Row) -> Trajectory | str:
        is_first = row is rows[0]
        progress.starting(row.name)
        try:
            function = "kerasmlp.comparison.trajectory:check_row"
            with Process(function, start, row, rows[0], epochs, launch=processes.launch) as process:
                started.append(process)
                own = process.receive(time_limit)
                if is_first:
                    initial.set_result(own)
                process.send(initial.result())
                progress.done(row.name, 0)
                while not isinstance(message := process.receive(time_limit), Trajectory):
                    progress.done(row.name, message)
                progress.stopped(row.name, "trained")
                return message
        except RemoteError as error:
            if is_first and not initial.done():
                initial.set_exception(error)
            progress.stopped(row.name, "failed")
            return str(error)

    progress.phase("agreement", epochs * start.steps_per_epoch)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        by_length = [rows[0], *sorted(rows[1:], key=lambda row: row.loop != "eager")]
        futures = {row.name: threads.submit(check_row, row) for row in by_length}
        try:
            outcomes = []
            first = futures[rows[0].name]
            for row in rows:
                outcomes.append(judge(row.name, futures[row.name].result(), first.result()))
                progress.ended(row.name, outcomes[-1].verdict)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            for process in started:
                process.kill()
            raise
    if initial.exception() is not None:
        raise ValueError(str(initial.exception()))
    return outcomes
