"""The comparison of training loops: whether they agree, then what each costs."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasmlp.comparison.agreement import check_agreement
from kerasmlp.comparison.cost import measure_costs
from kerasmlp.comparison.forks import ForkServer
from kerasmlp.comparison.progress import RowProgress
from kerasmlp.comparison.result import Comparison
from kerasmlp.comparison.row import BUILT_IN, Row
from kerasmlp.comparison.start import Data, Start, as_arrays

if TYPE_CHECKING:
    import keras

    from kerasmlp.loops import Loop

_PROGRAMS = ("kerasmlp.comparison.trajectory", "kerasmlp.comparison.timing")
"""What the processes of the rows run. They import TensorFlow."""


def compare_loops(
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
        make_model: a function without arguments that returns a compiled Keras model, or its name,
            `package.module:name`.
        data: a source as `--data` takes it; a loader; `(x, y)`; or `((x, y), (x_test, y_test))`.
        loops: the rows by name. Each is `fit`, `graph` or `eager`, optionally with `+jit` and `@N`; or a
            loop with the signature of `kerasmlp.loops.Loop`. `kerasmlp.loops.traced(step)` makes a loop
            of a train step. By default, the three built-in loops. The first one must be built in.
        epochs: epochs in which the steps are compared.
        batch_size: examples in a batch.
        seed: seed of the initial weights and the order of the batches.
        repeats: epochs to time, after one that warms up. 0 measures no cost.
        time_limit: seconds without a message, after which the process of a row is stopped.
        output: the new folder for the report. None for no report.

    Raises:
        ValueError: the data, a row or the model is wrong.
        FileExistsError: `output` exists.
    """
    from kerasmlp.comparison import report

    rows = [
        Row.parse(loop, name) if isinstance(loop, str) else Row(name, loop)
        for name, loop in (loops or {name: name for name in BUILT_IN}).items()
    ]
    start = Start(make_model, *as_arrays(data), batch_size, seed)
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
    """Assert that loops agree with Keras' own steps. For tests.

    The arguments are those of `compare_loops`. If the first loop is not built in, a row `fit` is added
    before it. By default, no cost is measured. The message of the `AssertionError` says why a loop
    diverges or fails.
    """
    first = next(iter(loops.values()), None)
    if not (isinstance(first, str) and first.startswith(BUILT_IN)):
        loops = {"fit": "fit", **loops}
    result = compare_loops(make_model, data, loops, **{"repeats": 0, **options})
    if not result.agree:
        raise AssertionError(f"the loops do not agree\n{result.diagnosis}")


def compare_rows(
    start: Start, rows: Sequence[Row], epochs: int, repeats: int, time_limit: float
) -> Comparison:
    """Compare `rows`, which train from `start`. The other arguments are those of `compare_loops`.

    A `ValueError` says what is wrong with the rows, the settings or the model.
    """
    _check(start, rows, epochs)
    with RowProgress(rows) as progress, ForkServer(*_PROGRAMS) as forks:
        forks.wait_until_ready()
        outcomes = check_agreement(start, rows, epochs, time_limit, forks, progress)
        if repeats:
            outcomes = measure_costs(start, rows, outcomes, repeats, time_limit, forks, progress)
    settings = {
        "epochs": epochs,
        "batch_size": start.batch_size,
        "seed": start.seed,
        "repeats": repeats,
        "training_examples": len(start.train[0]),
        "steps_per_epoch": start.steps_per_epoch,
    }
    return Comparison(tuple(outcomes), settings)


def _check(start: Start, rows: Sequence[Row], epochs: int) -> None:
    examples = len(start.train[0])
    names = [row.name for row in rows]
    twice = {name for name in names if names.count(name) > 1}
    wrong = None
    if not rows or rows[0].loop not in BUILT_IN:
        wrong = (
            f"first row: expected one of {', '.join(BUILT_IN)}, because the other rows are compared with"
            f" it; received {names[0] if names else 'no row'}"
        )
    elif twice:
        wrong = f"rows: expected each row once; received {', '.join(sorted(twice))} twice"
    elif not 1 <= start.batch_size <= examples:
        wrong = (
            f"batch size: expected 1 to {examples:,}, the number of training examples;"
            f" received {start.batch_size:,}"
        )
    elif epochs < 1:
        wrong = f"epochs: expected at least 1; received {epochs}"
    if wrong:
        raise ValueError(wrong)
