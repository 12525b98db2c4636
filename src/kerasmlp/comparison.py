"""Compares training loops: first whether they agree, then what each costs, each in its own process."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasmlp.data import MNISTLoader
from kerasmlp.remote import Process, RemoteError
from kerasmlp.results import Cost, Outcome, State, Trajectory, judge
from kerasmlp.row_progress import RowProgress
from kerasmlp.rows import BUILT_IN, Row, Start
from kerasmlp.tables import Comparison

if TYPE_CHECKING:
    import keras

    from kerasmlp.loops import Loop

Arrays = tuple[NDArray[Any], NDArray[Any]]
Data = str | Path | MNISTLoader | Arrays | tuple[Arrays, Arrays]


def compare(
    make_model: "str | Callable[[], keras.Model]",
    data: Data,
    loops: "Mapping[str, str | Loop] | None" = None,
    *,
    epochs: int = 2,
    batch_size: int = 50,
    seed: int = 0,
    repeats: int = 5,
    time_limit: float = 300.0,
    output: str | Path | None = None,
) -> Comparison:
    """Compare training loops: whether they agree with Keras' own steps, and what each costs.

    Args:
        make_model: a function without arguments that returns a compiled Keras model.
        data: a source as `--data` takes; a loader; images and labels; or a pair of these, of which the
            second is to test on.
        loops: the rows by name: `fit`, `graph` or `eager`, with `+jit` and `@N` at will, or a loop with
            the signature of `kerasmlp.loops.Loop`; `kerasmlp.loops.traced(step)` makes one of a train
            step. By default the three built-in ones. The first must be built in.
        epochs: in which they are compared.
        batch_size: examples a step.
        seed: of the initial weights and of the order of the batches.
        repeats: epochs that are timed, after one that warms up; 0 measures no cost.
        time_limit: seconds without a sign of life after which a row is given up.
        output: the folder to make for the report; None for none.

    Raises:
        ValueError: the data, a row or what the factory returns is not what it should be.
        FileExistsError: `output` exists.
    """
    from kerasmlp import report

    rows = [
        Row.parse(loop, name) if isinstance(loop, str) else Row(name, loop)
        for name, loop in (loops or {name: name for name in BUILT_IN}).items()
    ]
    train, test = _arrays(data)
    start = Start(make_model, train, test, batch_size, seed)
    with contextlib.nullcontext() if output is None else report.folder(output) as folder:
        result = compare_rows(start, rows, epochs, repeats, time_limit)
        if folder is not None:
            report.write(result, folder)
    return result


def assert_loops_agree(
    make_model: "str | Callable[[], keras.Model]",
    data: Data,
    loops: "Mapping[str, str | Loop]",
    **options: Any,
) -> None:
    """Assert that `loops` agree with Keras' own steps; for tests.

    Args:
        make_model: as for `compare`.
        data: as for `compare`.
        loops: as for `compare`; a row `fit` is put before them if the first is not built in.
        options: those of `compare`.

    Raises:
        AssertionError: one diverges or fails; the message is the diagnosis.
    """
    first = next(iter(loops.values()), None)
    if not (isinstance(first, str) and first.startswith(BUILT_IN)):
        loops = {"fit": "fit", **loops}
    result = compare(make_model, data, loops, **{"repeats": 0, **options})
    if not result.agree:
        raise AssertionError(f"the loops do not agree\n{result.diagnosis}")


def compare_rows(
    start: Start, rows: Sequence[Row], epochs: int, repeats: int, time_limit: float
) -> Comparison:
    """Compare `rows`, which train from `start`; the arguments are those of `compare`.

    Raises:
        ValueError: the first row is no built-in loop, two rows have one name, the batches do not fit
            the data, or no model could be made.
    """
    _check(start, rows, epochs)
    with RowProgress(rows) as progress:
        outcomes = _agreement(start, rows, epochs, time_limit, progress)
        if repeats:
            outcomes = _costs(start, rows, outcomes, repeats, time_limit, progress)
    settings = {
        "epochs": epochs,
        "batch_size": start.batch_size,
        "seed": start.seed,
        "repeats": repeats,
        "training_examples": len(start.train[0]),
        "steps_per_epoch": _steps(start, 1),
    }
    return Comparison(tuple(outcomes), settings)


def handbook_start(data: MNISTLoader, batch_size: int, seed: int, model: str | None) -> Start:
    """Return what every row starts from: `model`, or the handbook's MLP for `data`."""
    factory = model or functools.partial(_handbook_mlp, data.image_shape, data.classes)
    train, test = _arrays(data)
    return Start(factory, train, test, batch_size, seed)


def _handbook_mlp(image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    from kerasmlp.model import compiled_mlp

    return compiled_mlp(image_shape, classes, jit_compile=False, steps_per_execution=1)


def _arrays(data: Data) -> tuple[Arrays, Arrays]:
    if isinstance(data, str | Path):
        data = MNISTLoader(str(data))
    if isinstance(data, MNISTLoader):
        return (data.train_data, data.train_label), (data.test_data, data.test_label)
    if len(data) == 2 and all(isinstance(part, tuple | list) and len(part) == 2 for part in data):
        train, test = ((np.asarray(x), np.asarray(y)) for x, y in data)
    elif len(data) == 2:
        train = np.asarray(data[0]), np.asarray(data[1])
        test = train
    else:
        raise ValueError(
            f"data: expected (x, y) or ((x, y), (x_test, y_test)); received {len(data)} parts"
        )
    for x, y in (train, test):
        if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
            raise ValueError(
                "data: expected as many labels as examples, at least one; received arrays of the shapes"
                f" {x.shape} and {y.shape}"
            )
    return train, test


def _check(start: Start, rows: Sequence[Row], epochs: int) -> None:
    if not rows or rows[0].loop not in BUILT_IN:
        raise ValueError(
            f"expected one of {', '.join(BUILT_IN)} as the first row, which the others are held against;"
            f" received {rows[0].name if rows else 'no row'}"
        )
    names = [row.name for row in rows]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"expected each row once; received {', '.join(sorted(twice))} twice")
    if not 1 <= start.batch_size <= len(start.train[0]):
        raise ValueError(
            f"batch size: expected 1 to the {len(start.train[0]):,} training examples; received"
            f" {start.batch_size:,}"
        )
    if epochs < 1:
        raise ValueError(f"epochs: expected at least 1; received {epochs}")


def _steps(start: Start, epochs: int) -> int:
    return epochs * -(-len(start.train[0]) // start.batch_size)


def _agreement(
    start: Start, rows: Sequence[Row], epochs: int, time_limit: float, progress: "RowProgress"
) -> list[Outcome]:
    """Follow each loop; a few at once, since nothing is timed here."""
    initial: concurrent.futures.Future[State] = concurrent.futures.Future()
    processes: list[Process] = []

    def followed(row: Row) -> Trajectory | RemoteError:
        try:
            with Process("kerasmlp.agreement:follow", start, row, rows[0], epochs) as process:
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
        progress.phase("agreement", _steps(start, epochs))
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


def _costs(
    start: Start,
    rows: Sequence[Row],
    outcomes: Sequence[Outcome],
    repeats: int,
    time_limit: float,
    progress: "RowProgress",
) -> list[Outcome]:
    """Time the loops in turn, an epoch each, so that what else the machine does meets all of them."""
    progress.phase("cost", 1 + repeats)
    found: dict[str, Cost | str] = {}
    with contextlib.ExitStack() as stack:
        running = {
            row.name: stack.enter_context(Process("kerasmlp.cost:measure", start, row, repeats))
            for row, outcome in zip(rows, outcomes, strict=True)
            if outcome.verdict != "failed"
        }
        for turn in range(
            -1, repeats + 2
        ):  # ready, the epoch that warms up, the timed ones, the evaluation
            for name, process in list(running.items()):
                try:
                    if turn >= 0:
                        process.send("your turn")
                    message = process.receive(time_limit)
                except RemoteError as error:
                    message = str(error)
                    found[name] = message
                if turn > repeats and message == "epoch":
                    found[name] = f"the loop trains more than the {1 + repeats} epochs it is asked for"
                elif isinstance(message, Cost):
                    found[name] = message
                    progress.finished(name, f"{message.median:.3g} s an epoch")
                if name in found:
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
