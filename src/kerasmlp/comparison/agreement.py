"""TODO"""

import concurrent.futures
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerasmlp.comparison.process import Process, RemoteError
from kerasmlp.comparison.progress import RowProgress
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.start import Start
from kerasmlp.comparison.verdict import Outcome, State, Trajectory, judge

if TYPE_CHECKING:
    pass


def agreement(
    start: Start, rows: Sequence[Row], epochs: int, time_limit: float, progress: "RowProgress"
) -> list[Outcome]:
    """Follow each loop; a few at once, since nothing is timed here."""
    initial: concurrent.futures.Future[State] = concurrent.futures.Future()
    processes: list[Process] = []

    def followed(row: Row) -> Trajectory | RemoteError:
        try:
            with Process(
                "kerasmlp.comparison.trajectory:follow", start, row, rows[0], epochs
            ) as process:
                processes.append(process)
                own = process.receive(time_limit)
                if row is rows[0]:
                    initial.set_result(own)
                process.send(initial.result())
                while not isinstance(message := process.receive(time_limit), Trajectory):
                    progress.done(row.name, message)
                return message
        except RemoteError as error:
            if not initial.done():
                initial.set_exception(error)
            return error

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        progress.phase("agreement", epochs * start.steps_per_epoch)
        futures = [threads.submit(followed, row) for row in rows]
        try:
            trajectories = []
            for row, future in zip(rows, futures, strict=True):
                trajectories.append(future.result())
                outcome = _outcome(row, trajectories[-1], trajectories[0])
                progress.finished(row.name, outcome.verdict)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.kill()
            raise
    if initial.exception() is not None:
        raise ValueError(str(initial.exception()))
    return [_outcome(row, each, trajectories[0]) for row, each in zip(rows, trajectories, strict=True)]


def _outcome(row: Row, found: Trajectory | RemoteError, first: Trajectory | RemoteError) -> Outcome:
    if isinstance(found, RemoteError):
        return Outcome(row.name, "failed", str(found), None)
    return judge(row.name, found, first if isinstance(first, Trajectory) else None)
