"""Writes an export, and keeps it only if it predicts what the model predicts."""

import contextlib
import dataclasses
import glob
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kerasmlp.checkpoints import atomic
from kerasmlp.exporting import parity, writers
from kerasmlp.exporting.formats import FILES, FormatName
from kerasmlp.exporting.served import Served
from kerasmlp.models import MLP
from kerasmlp.runs import environment, run_folder


@dataclasses.dataclass(frozen=True)
class NotChecked:
    """What there is to say of an export that could not be run.

    Attributes:
        bytes: the size of the file.
        not_checked: why, and what to do.
    """

    format: FormatName
    bytes: int
    not_checked: str


Report = parity.Parity | NotChecked


def write_checked(served: Served, format: FormatName, output: Path) -> tuple[Path, Report]:
    """Export a model into the folder `output`, with a report as JSON beside it. Return path and report.

    Without a browser, a page is kept as it is, and the report says so.

    Raises:
        FormatError: the format cannot hold the model.
        ParityError: the export does not predict what the model predicts. It is not kept.
        OSError: a file cannot be written.
    """
    path = output / FILES[format]
    with _plain_folder(output) as folder:
        part = folder / path.name
        writers.write(served, format, part)
        report = _checked(served, format, part)
        with tempfile.TemporaryDirectory(dir=output, prefix=atomic.PART) as beside:
            whole = Path(shutil.move(part, beside))
            if path.is_dir():
                shutil.rmtree(path)
            whole.replace(path)
    if format == "savedmodel" and not _is_plain(path):
        print(
            f"note: {path}: TensorFlow loads no SavedModel from a path with one of the characters *?[ in"
            " it; move the folder to load it",
            file=sys.stderr,
        )
    content = dataclasses.asdict(report) | {"data": served.data} | environment()
    run_folder.write_json(output / f"{path.name}.json", content)
    return path, report


def _checked(served: Served, format: FormatName, path: Path) -> Report:
    """Return the report on an export that keeps to its bound, or could not be run."""
    try:
        report = parity.measure(served, format, path)
    except parity.NotRunError as error:
        return NotChecked(format, parity.size(path), str(error))
    report.check(parity.ROUNDED if _has_integers(served, format) else parity.EXACT)
    return report


@contextlib.contextmanager
def _plain_folder(output: Path) -> Iterator[Path]:
    """A context with a new folder to write to, whose path is plain: in `output` if that is."""
    where = output if _is_plain(output) else None
    with tempfile.TemporaryDirectory(dir=where, prefix=atomic.PART) as folder:
        yield Path(folder)


def _is_plain(path: Path) -> bool:
    """Return whether a path is no pattern, for which TensorFlow takes the path of a SavedModel."""
    return glob.escape(str(path.absolute())) == str(path.absolute())


def _has_integers(served: Served, format: FormatName) -> bool:
    """Return whether the export computes with integers, or the model was trained for them."""
    return format == "litert-int8" or (isinstance(served.model, MLP) and served.model.is_quantized)
