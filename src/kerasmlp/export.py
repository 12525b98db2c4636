"""Export the model of a finished run, and check that the exported model predicts the same."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from kerasmlp import cli, exporting, runs
from kerasmlp.exporting import FormatName
from kerasmlp.runs import check, require

if TYPE_CHECKING:
    from kerasmlp.exporting import Parity

FOLDER = "export"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Export the model of a finished run: images as bytes in, probabilities out, the scaling inside.

    Each export is run by its format's own runtime, in a process of its own, on 1,000 test images; a
    report of its parity with the model is printed, and written beside it as JSON. An export of floats
    whose probabilities differ by more than 1e-5, or one of whose labels differs, is an error and leaves
    no file; so is one of integers (or of a model trained for them) with more than 2 % of its labels
    changed, or more than 1 point of accuracy lost.

    Args:
        run: The run folder, as logs/NAME.
        format: One format or more. litert-int8 computes with integers alone: as the model was trained
            to, with kerasmlp.train --quantize, or with ranges found on 1,000 training images. It returns
            probabilities in units of 1 / 256.
        output: The folder to write to. By default the folder export of the run.
        data: Whose test images to measure with, as in kerasmlp.train. By default those of the run.
        verbose: Show what TensorFlow prints.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    format: tuple[FormatName, ...]
    output: Path | None = None
    data: str | None = None
    verbose: bool = False

    def __post_init__(self) -> None:
        check(self)
        require(len(self.format) > 0, "format", "one format or several", self.format)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""

    def command() -> None:
        settings = cli.parse(Settings, "kerasmlp.export", argv)
        with cli.quiet_start(settings.verbose):
            import keras  # noqa: F401
        reports = export(settings)
        _print(list(reports.values()))
        for path in reports:
            print(f"written: {path}")

    return cli.run(command)


def export(settings: Settings) -> "dict[Path, Parity]":
    """Export the model of a run. Return the parity report of each file or folder that was written.

    Raises:
        ValueError: there is no model, or it does not fit the data, or a package is not installed.
        OSError: a file cannot be read or written.
        FailedError: an export does not predict what the model predicts. The exports before it are kept.
    """
    for format in settings.format:
        exporting.check_installed(format)
    model, data = runs.load_with_data(settings.run, settings.data)
    output = settings.output or settings.run / FOLDER
    reports = {}
    for format in dict.fromkeys(settings.format):
        print(f"{format}: exporting and checking", file=sys.stderr)
        with cli.quiet(settings.verbose):
            try:
                path, report = exporting.write_checked(model, data, format, output)
            except exporting.ParityError as error:
                raise cli.FailedError(error) from error
        reports[path] = report
    return reports


def _print(reports: "Sequence[Parity]") -> None:
    """Print a line an export."""
    from rich.console import Console
    from rich.table import Table

    table = Table("format", "bytes", "difference", "labels", "accuracy", "ms, 1", "1,000")
    for report in reports:
        table.add_row(
            report.format,
            f"{report.bytes:,}",
            f"{report.largest_difference:.1e}",
            f"{report.equal_labels:.1%}",
            f"{report.accuracy:.4f}",
            f"{report.milliseconds_1:.3f}",
            f"{report.milliseconds_1000:.2f}",
        )
    console = Console()
    console.print(table)
    console.print(
        f"{reports[0].images:,} test images; the model's accuracy is {reports[0].accuracy_of_model:.4f};"
        " difference: the largest of a probability; labels: the share that is the same; ms: of a call"
        " with 1 image, and with 1,000"
    )


if __name__ == "__main__":
    sys.exit(main())
