"""Compares training loops: first whether they agree, then what each costs, each in its own process."""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasmlp.comparison.progress import RowProgress
from kerasmlp.comparison.result import Comparison
from kerasmlp.comparison.row import BUILT_IN, Row
from kerasmlp.comparison.start import Start
from kerasmlp.data import MNISTLoader

if TYPE_CHECKING:
    import keras

    from kerasmlp.loops import Loop
from kerasmlp.comparison.agreement import agreement
from kerasmlp.comparison.cost import costs

Arrays = tuple[NDArray[Any], NDArray[Any]]
Data = str | Path | MNISTLoader | Arrays | tuple[Arrays, Arrays]


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
    from kerasmlp.comparison import report

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
        make_model: as for `compare_loops`.
        data: as for `compare_loops`.
        loops: as for `compare_loops`; a row `fit` is put before them if the first is not built in.
        options: those of `compare_loops`.

    Raises:
        AssertionError: one diverges or fails; the message is the diagnosis.
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
    """Compare `rows`, which train from `start`; the arguments are those of `compare_loops`.

    Raises:
        ValueError: the first row is no built-in loop, two rows have one name, the batches do not fit
            the data, or no model could be made.
    """
    _check(start, rows, epochs)
    with RowProgress(rows) as progress:
        outcomes = agreement(start, rows, epochs, time_limit, progress)
        if repeats:
            outcomes = costs(start, rows, outcomes, repeats, time_limit, progress)
    settings = {
        "epochs": epochs,
        "batch_size": start.batch_size,
        "seed": start.seed,
        "repeats": repeats,
        "training_examples": len(start.train[0]),
        "steps_per_epoch": start.steps_per_epoch,
    }
    return Comparison(tuple(outcomes), settings)


def handbook_start(data: MNISTLoader, batch_size: int, seed: int, model: str | None) -> Start:
    """Return what every row starts from: `model`, or the handbook's MLP for `data`."""
    factory = model or functools.partial(_handbook_mlp, data.image_shape, data.classes)
    train, test = _arrays(data)
    return Start(factory, train, test, batch_size, seed)


def _handbook_mlp(image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    from kerasmlp.models import compiled_mlp

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
