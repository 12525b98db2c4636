"""Evaluate a trained run on its test images: by class, which for which, and how well calibrated."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from kerasmlp import atomic, cli, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasmlp.evaluation import Evaluation

JSON = "evaluation.json"
FIGURE = "evaluation.png"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Evaluate the model of a finished run on the test images: by class, confusions, calibration.

    Prints tables, and writes evaluation.json and evaluation.png into the run folder.

    Args:
        run: The run folder, as logs/NAME.
        data: Whose test images to evaluate, as in kerasmlp.train. By default those of the run.
        verbose: Show what TensorFlow prints when it starts.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    data: str | None = None
    verbose: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""

    def command() -> None:
        settings = cli.parse(Settings, "kerasmlp.evaluate", argv)
        with cli.quiet_start(settings.verbose):
            import keras  # noqa: F401
        evaluation, data = evaluate(settings.run, settings.data)
        _print(evaluation)
        print(f"data: {data}")
        print(f"written: {settings.run / JSON}, {settings.run / FIGURE}")
        print(f"test accuracy: {evaluation.accuracy:f}")

    return cli.run(command)


def evaluate(folder: Path, data: str | None = None) -> "tuple[Evaluation, str]":
    """Evaluate the run in `folder`, and write `evaluation.json` and `evaluation.png` there.

    Args:
        folder: of the run.
        data: whose test images to evaluate; None for those that the run was trained on.

    Raises:
        ValueError: there is no model, or it does not fit the data.
        OSError: a file cannot be read or written.
    """
    from kerasmlp import evaluation, trained
    from kerasmlp.batches import in_order

    model, loader = trained.read(folder, data)
    probabilities = model.predict(in_order(loader.test_data, loader.test_label), verbose=0)
    result = evaluation.evaluate(probabilities, loader.test_label)
    run.write_json(folder / JSON, {**dataclasses.asdict(result), "data": loader.name})
    with atomic.replacing(folder / FIGURE) as part:
        _figure(result).savefig(part, dpi=100, format="png")
    return result, loader.name


def _print(evaluation: "Evaluation") -> None:
    """Print a line a class, and the confusion matrix."""
    from rich.console import Console
    from rich.table import Table

    classes = Table("class", "precision", "recall", "F1", "support")
    scores = zip(evaluation.precision, evaluation.recall, evaluation.f1, evaluation.support, strict=True)
    for number, (precision, recall, f1, support) in enumerate(scores):
        classes.add_row(str(number), f"{precision:.4f}", f"{recall:.4f}", f"{f1:.4f}", f"{support:,}")
    confusion = Table("class \\ called", *map(str, range(len(evaluation.confusion))))
    for number, row in enumerate(evaluation.confusion):
        confusion.add_row(str(number), *map(str, row))
    console = Console()
    console.print(classes)
    console.print(confusion)
    console.print(f"expected calibration error: {evaluation.calibration_error:.4f}")


def _figure(evaluation: "Evaluation") -> "Figure":
    """Return the confusion matrix, and the share of right predictions against their probability."""
    import numpy as np
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    figure = Figure(figsize=(12, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    matrix = np.array(evaluation.confusion)
    shown = matrix - np.diag(np.diag(matrix))  # the errors would not be seen beside the right ones
    ConfusionMatrixDisplay(shown).plot(ax=left, cmap="Blues", colorbar=False)
    left.set_title(f"errors, of {evaluation.examples:,}")
    bins = [(mean, share, count) for count, mean, share in evaluation.calibration if count]
    confidence, share, counts = zip(*bins, strict=True)
    right.plot([0, 1], [0, 1], color="C7", linewidth=1)
    right.scatter(confidence, share, s=np.sqrt(counts) * 3)
    right.set(xlabel="probability of the class", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    right.set_title(f"calibration error {evaluation.calibration_error:.4f}")
    return figure


if __name__ == "__main__":
    sys.exit(main())
