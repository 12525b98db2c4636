"""The comparison of training loops: whether they agree, then what each costs."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasmlp.comparison.agreement import check_agreement
from kerasmlp.comparison.cost import measure_costs
from kerasmlp.comparison.progress import RowProgress
from kerasmlp.comparison.result import Comparison
from kerasmlp.comparison.row import BUILT_IN, Row
from kerasmlp.comparison.start import Start, start_from
from kerasmlp.comparison.user_data import Data
from kerasmlp.processes import Starter, starter

if TYPE_CHECKING:
    import keras

    from kerasmlp.loops import Loop


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
    validation_data: Data | None = None,
    class_weight: Mapping[int, float] | None = None,
    callbacks: "Sequence[keras.callbacks.Callback]" = (),
) -> Comparison:
    """Compare training loops: whether they agree with Keras' own steps, and what each costs.

    Args:
        make_model: a function without arguments that returns a compiled Keras model, or its name,
            `package.module:name`.
        data: a source as `--data` takes it; a loader; `(x, y)`, `(x, y, sample_weight)` or x alone,
            with arrays in any structure of dicts and lists; `((x, y), (x_test, y_test))`, in tuples;
            or a `tf.data.Dataset` of batches with a fixed order. Only images of a source or a loader
            are scaled.
        loops: the rows by name. Each is `fit`, `graph` or `eager`, optionally with `+jit` and `@N`; or a
            loop with the signature of `kerasmlp.loops.Loop`. `kerasmlp.loops.traced(step)` makes a loop
            of a train step. By default, the three built-in loops. The first one must be built in.
        epochs: epochs in which the steps are compared.
        batch_size: examples in a batch. A dataset has its own.
        seed: seed of the initial weights and the order of the batches.
        repeats: epochs to time, after one that warms up; 3 at most if they take more than 4 seconds
            together. 0 measures no cost.
        time_limit: seconds without a message, after which the process of a row is stopped.
        output: the new folder for the report. None for no report.
        validation_data: data that the loops get as their validation data. By default the test data. What
            loops report of them is compared, and that the validation changes nothing.
        class_weight: a weight for each class, as in `fit`. The loops get sample weights.
        callbacks: callbacks that alter the training, such as `LearningRateScheduler`. Each loop gets
            copies of them, and the reference too.

    Raises:
        ValueError: the data, a row or the model is wrong.
        FileExistsError: `output` exists.
    """
    from kerasmlp.comparison import report

    rows = [
        Row.parse(loop, name) if isinstance(loop, str) else Row(name, loop)
        for name, loop in (loops or {name: name for name in BUILT_IN}).items()
    ]
    with contextlib.ExitStack() as stack:
        processes = stack.enter_context(new_processes())
        start = stack.enter_context(
            start_from(
                make_model,
                data,
                batch_size,
                seed,
                validation_data=validation_data,
                class_weight=class_weight,
                callbacks=callbacks,
            )
        )
        folder = None if output is None else stack.enter_context(report.folder(output))
        result = compare_rows(start, rows, epochs, repeats, time_limit, processes)
        if folder is not None:
            report.write(result, folder, processes)
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


def new_processes() -> Starter:
    """Return what starts the processes of a comparison, a context. It imports TensorFlow meanwhile."""
    package = "kerasmlp.comparison"
    return starter(f"{package}.trajectory", f"{package}.timing", f"{package}.runs")


def compare_rows(
    start: Start,
    rows: Sequence[Row],
    epochs: int,
    repeats: int,
    time_limit: float,
    processes: Starter,
) -> Comparison:
    """Compare `rows`, which train from `start`, in `processes`.

    The other arguments are those of `compare_loops`. A `ValueError` says what is wrong with the rows,
    the settings or the model.
    """
    _check(start, rows, epochs, repeats)
    with RowProgress(rows) as progress:
        processes.wait_until_ready()
        outcomes = check_agreement(start, rows, epochs, time_limit, processes, progress)
        if repeats:
            outcomes = measure_costs(start, rows, outcomes, repeats, time_limit, processes, progress)
    settings = {
        "epochs": epochs,
        "batch_size": start.batch_size,
        "seed": start.seed,
        "repeats": repeats,
        "training_examples": start.examples,
        "steps_per_epoch": start.steps_per_epoch,
    }
    return Comparison(tuple(outcomes), settings)


def _check(start: Start, rows: Sequence[Row], epochs: int, repeats: int) -> None:
    examples = start.examples
    names = [row.name for row in rows]
    twice = {name for name in names if names.count(name) > 1}
    wrong = None
    if not rows or rows[0].loop not in BUILT_IN:
        wrong = (
            f"first row: expected the loop {', '.join(BUILT_IN[:-1])} or {BUILT_IN[-1]}, because the"
            f" other rows are compared with it; received {names[0] + ', a loop' if names else 'none'}"
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
    elif repeats < 0:
        wrong = f"repeats: expected at least 0; received {repeats}"
    if wrong:
        raise ValueError(wrong)
