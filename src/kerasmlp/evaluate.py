"""Evaluate a trained run on its test images: per-class metrics, confusion matrix, calibration."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from kerasmlp import cli, flags, runs

if TYPE_CHECKING:
    from kerasmlp.runs import Evaluation


@dataclasses.dataclass(frozen=True)
class Settings:
    """Evaluate the model of a finished run on the test images.

    Prints per-class metrics, the confusion matrix and the calibration error, and writes evaluation.json
    and evaluation.png into the run folder. Of a model that predicts no classes, prints and writes the
    metrics that it is compiled with.

    Args:
        run: The run folder, as logs/NAME, or latest for the newest one in logs.
        data: Other data to evaluate on, as in kerasmlp.train. By default the data of the run. A run of
            kerasmlp.fit keeps no data: it needs an .npz file of the arrays that fit takes.
        transpose: The images of --data lie on their side, as in kerasmlp.train.
        verbose: Print TensorFlow's start-up messages.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    data: str | None = None
    transpose: bool = False
    verbose: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""

    def command() -> None:
        settings = flags.parse(Settings, "kerasmlp.evaluate", argv)
        with cli.quiet_start(settings.verbose):
            import keras  # noqa: F401
        run = runs.run_folder.named(settings.run)
        found = runs.evaluate(run, settings.data, settings.transpose)
        written = [run / "evaluation.json"]
        if found.classes is not None:
            _print(found.classes)
            written.append(run / "evaluation.png")
        print(f"data: {found.data}")
        print(f"written: {', '.join(map(str, written))}")
        others = {name: value for name, value in found.metrics.items() if name != "accuracy"}
        for name, value in others.items() if found.classes is None else ():
            print(f"test {name.replace('_', ' ')}: {value:f}")
        if found.classes is not None:
            print(f"test accuracy: {found.classes.accuracy:f}")

    return cli.run(command)


def _print(evaluation: "Evaluation") -> None:
    """Print a line for each class, and the confusion matrix."""
    from rich.console import Console
    from rich.table import Table

    classes = Table("class", "precision", "recall", "F1", "support")
    scores = zip(evaluation.precision, evaluation.recall, evaluation.f1, evaluation.support, strict=True)
    for number, (precision, recall, f1, support) in enumerate(scores):
        classes.add_row(str(number), f"{precision:.4f}", f"{recall:.4f}", f"{f1:.4f}", f"{support:,}")
    confusion = Table("class \\ predicted", *map(str, range(len(evaluation.confusion))))
    for number, row in enumerate(evaluation.confusion):
        confusion.add_row(str(number), *map(str, row))
    console = Console()
    console.print(classes)
    console.print(confusion)
    console.print(f"expected calibration error: {evaluation.calibration_error:.4f}")


if __name__ == "__main__":
    sys.exit(main())
