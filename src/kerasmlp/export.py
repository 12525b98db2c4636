"""Export the model of a finished run, and check that the exported model predicts the same."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from kerasmlp import cli, exporting, flags, runs

if TYPE_CHECKING:
    from rich.console import Console

FOLDER = "export"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Export the model of a finished run, and check that the exported model predicts the same.

    An export takes the arrays of the data, by name, and returns what the model returns. Images as bytes
    it takes as bytes, and scales itself. Each export is run in the runtime of its format, in a new
    process, on 1,000 test examples. A report of the differences is printed, and written beside the
    export as JSON. For floats, no probability may differ by more than 1e-5, and no label may change. For
    integers, and for a model that was trained for integers, at most 2 % of the labels may change, and at
    most 1 point of accuracy may be lost. For a model that predicts no classes: floats may differ by 1e-5
    of the largest output, and of integers at most 1 % of the variance of an output may be lost. An
    export that differs more is an error, and is not kept; so is a model that a format cannot hold.

    html is one file that opens in any browser, to draw a digit and see the handbook's MLP read it. It is
    run in a Chromium; without one it is kept unchecked, and the report says so.

    Args:
        run: The run folder, as logs/NAME, or latest for the newest one in logs.
        format: One format or several. litert-int8 computes with integers, whose ranges are found on
            1,000 training examples; what comes in and goes out stays as it is. The handbook's MLP has
            integers alone, those that it was trained for (kerasmlp.train --quantize) or those found. It
            returns probabilities in units of 1 / 256.
        output: The folder to write to. By default the folder export in the run folder.
        data: Other data for the check, as in kerasmlp.train. By default the data of the run. A run of
            kerasmlp.fit keeps no data: it needs an .npz file of the arrays that fit takes.
        transpose: The images of --data lie on their side, as in kerasmlp.train.
        verbose: Print TensorFlow's messages.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    format: tuple[exporting.FormatName, ...]
    output: Path | None = None
    data: str | None = None
    transpose: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        runs.check(self)
        runs.require(self, len(self.format) > 0, "format", "one format or several")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""

    def command() -> None:
        settings = flags.parse(Settings, "kerasmlp.export", argv)
        with cli.quiet_start(settings.verbose):
            import keras  # noqa: F401
        reports = export(settings)
        _print(list(reports.values()))
        for path in reports:
            print(f"written: {path}")

    return cli.run(command)


def export(settings: Settings) -> "dict[Path, exporting.Report]":
    """Export the model of a run. Return the report of each file or folder that was written.

    Raises:
        ValueError: there is no model, or it does not fit the data, or a package is not installed; or a
            format cannot hold the model. The exports before it are kept.
        OSError: a file cannot be read or written.
        FailedError: an export does not predict what the model predicts. The exports before it are kept.
    """
    for format in settings.format:
        exporting.check_installed(format)
    run = runs.run_folder.named(settings.run)
    served = exporting.Served.of_run(run, settings.data, settings.transpose)
    output = settings.output or run / FOLDER
    output.mkdir(parents=True, exist_ok=True)
    reports = {}
    for format in dict.fromkeys(settings.format):
        print(f"{format}: exporting and checking", file=sys.stderr)
        with cli.quiet(settings.verbose):
            try:
                path, report = exporting.write_checked(served, format, output)
            except exporting.ParityError as error:
                raise cli.FailedError(error) from error
        reports[path] = report
    return reports


def _print(reports: "Sequence[exporting.Report]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("format", "bytes", "difference", "labels", "accuracy", "ms, 1", "1,000")
    for report in reports:
        table.add_row(report.format, f"{report.bytes:,}", *_cells(report))
    console = Console()
    console.print(table)
    for report in reports:
        _print_notes(console, report)
    checked = next((each for each in reports if isinstance(each, exporting.Parity)), None)
    if checked is None:
        return
    if checked.accuracy_of_model is None:
        of_model = "difference: the largest difference of an output, relative to its largest value"
    else:
        of_model = (
            f"accuracy of the model: {checked.accuracy_of_model:.4f}; difference: the largest difference"
            " of a probability; labels: the share of equal labels"
        )
    console.print(
        f"{checked.examples:,} test examples; {of_model};"
        " ms: the time of a call with 1 example, and with 1,000 examples"
    )


def _cells(report: "exporting.Report") -> tuple[str, ...]:
    """Return what the table says of an export, after its size."""
    if isinstance(report, exporting.NotChecked):
        return ("-",) * 5
    return (
        f"{report.largest_difference:.1e}",
        "-" if report.equal_labels is None else f"{report.equal_labels:.1%}",
        "-" if report.accuracy is None else f"{report.accuracy:.4f}",
        f"{report.milliseconds_1:.3f}",
        f"{report.milliseconds_1000:.2f}",
    )


def _print_notes(console: "Console", report: "exporting.Report") -> None:
    """Print what the table does not say of an export."""
    if isinstance(report, exporting.NotChecked):
        note = f"not checked: {report.not_checked}"
    elif report.drawn_certain is not None:
        note = (
            f"of {exporting.DRAWN_DIGITS} drawn digits, the page reads {report.drawn_equal} as"
            f" kerasmlp.predict does; of the {report.drawn_certain} that predict is certain of,"
            f" {report.drawn_alike}"
        )
    else:
        return
    console.print(f"{report.format}: {note}", soft_wrap=True, highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(main())
