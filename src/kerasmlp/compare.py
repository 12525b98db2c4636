"""The command that compares training loops: whether they agree, if not why, and what each costs."""

import contextlib
import dataclasses
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from kerasmlp import cli, comparison, flags
from kerasmlp.runs import POSITIVE, SEED, at_least, between, check, default_data, require


@dataclasses.dataclass(frozen=True)
class Settings:
    """Compare training loops with Keras' own steps and with each other, and measure what each costs.

    The exit status is 0 if all loops agree, 1 if one does not, and 2 if the input is wrong.

    Args:
        loops: The rows: fit, graph, eager or package.module:name. +jit compiles a row with XLA, and @N
            takes N steps per execution, as in graph+jit@100. +mirroredN distributes fit or graph over N
            parts of the CPU, +multiworkerN over N processes. The other rows are compared with the first.
        loop: More rows: your own loops, package.module:name, with the signature of
            kerasmlp.loops.Loop.
        train_step: More rows: your own train steps, package.module:name. A step takes (model, x, y),
            trains on the batch, updates the metrics and returns the loss. It runs under tf.function.
        model: The model: package.module:name of a function without arguments that returns a compiled
            Keras model. By default the handbook's MLP.
        data: The data, as in kerasmlp.train; for a model of your own also an .npz file of any arrays, or
            package.module:name of a function that returns data in any form that fit takes.
        transpose: The images lie on their side, as in kerasmlp.train.
        epochs: Epochs in which the steps are compared.
        batch_size: Images in a batch.
        seed: Seed of the initial weights and the order of the batches.
        jit_compile: Compile all rows with XLA where possible, not only those with +jit.
        steps_per_execution: Steps in one call, for rows without @N.
        repeats: Epochs to time for each loop, after one that warms up; 3 at most if they take more than
            4 seconds together. 0 measures no cost.
        time_limit: Seconds without a message (a batch or an epoch), after which a row is stopped.
        output: The new folder for the report. By default a new folder in logs.
        explain: Print how the bound on rounding is derived, and its figures.
        verbose: Print TensorFlow's start-up messages.

    Raises:
        SettingError: a setting has another type or is out of its bounds; a `ValueError`.
    """

    groups: ClassVar[dict[str, tuple[str, ...]]] = {
        "rows": ("loops", "loop", "train_step", "jit_compile", "steps_per_execution"),
        "data": ("data", "model", "epochs", "batch_size", "seed", "transpose"),
        "output": ("output", "explain", "repeats", "time_limit", "verbose"),
    }

    loops: tuple[str, ...] = ("fit", "graph", "eager")
    loop: tuple[str, ...] = ()
    train_step: tuple[str, ...] = ()
    model: str | None = None
    data: str = dataclasses.field(default_factory=default_data)
    transpose: bool = False
    epochs: Annotated[int, at_least(1)] = 2
    batch_size: Annotated[int, at_least(1)] = 50
    seed: Annotated[int, SEED] = 0
    jit_compile: bool = False
    steps_per_execution: Annotated[int, between(1, 999_999)] = 1
    repeats: Annotated[int, at_least(0)] = 5
    time_limit: Annotated[float, POSITIVE] = 300.0
    output: Path | None = None
    explain: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        check(self)
        require(self, len(self.loops) > 0, "loops", "at least one row")
        expected = "False where a function returns the data"
        require(self, not (self.transpose and ":" in self.data), "transpose", expected)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    agree = False

    def command() -> None:
        nonlocal agree
        settings = flags.parse(Settings, "kerasmlp.compare", argv)
        agree = _compare(settings)

    return cli.run(command) or (0 if agree else 1)


def _compare(settings: Settings) -> bool:
    """Compare the loops, print and write the report, and return whether the loops agree."""
    compilation: dict[str, Any] = {
        "jit_compile": settings.jit_compile or None,
        "steps_per_execution": settings.steps_per_execution,
    }
    rows = [comparison.Row.parse(loop, **compilation) for loop in (*settings.loops, *settings.loop)]
    rows += [comparison.Row.parse(step, is_step=True, **compilation) for step in settings.train_step]
    from rich.console import Console

    from kerasmlp.data import MNISTLoader, read_source

    with contextlib.ExitStack() as stack:
        processes = stack.enter_context(comparison.new_processes())
        said = io.StringIO()
        with cli.quiet_start(settings.verbose):
            data: Any = settings.data
            model: Any = settings.model
            if ":" not in settings.data:
                with contextlib.redirect_stderr(said):  # lines about the data are no messages of Keras
                    data = read_source(settings.data, model is not None, settings.transpose)
            if isinstance(data, MNISTLoader):
                model = model or comparison.handbook_model(data)
            if model is None:
                raise ValueError("--model: expected the model for the data of --data")
            start = stack.enter_context(
                comparison.start_from(model, data, settings.batch_size, settings.seed)
            )
        print(said.getvalue(), end="", file=sys.stderr)
        if settings.model is not None and isinstance(data, MNISTLoader):
            name = f"note: {settings.model} is compared on the images of {data.name}"
            print(f"{name}; --data gives it other data", file=sys.stderr)
        folder = stack.enter_context(comparison.report.folder(settings.output))
        found = comparison.compare_rows(
            start, rows, settings.epochs, settings.repeats, settings.time_limit, processes
        )
        print(f"data: {getattr(data, 'name', data)}")
        found.show_tables(Console())
        comparison.report.write(found, folder, processes)
    if settings.explain:
        print(comparison.report.explanation(found))
    print(f"report: {folder}")
    print(found.summary)
    return found.agree


if __name__ == "__main__":
    sys.exit(main())
