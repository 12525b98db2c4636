"""Writes an export, and keeps it only if it predicts what the model predicts."""

import dataclasses
import shutil
import tempfile
from pathlib import Path

from kerasmlp.checkpoints import atomic
from kerasmlp.exporting import parity, writers
from kerasmlp.exporting.formats import FILES, FormatName
from kerasmlp.exporting.served import Served
from kerasmlp.models import MLP
from kerasmlp.runs import environment, run_folder


def write_checked(served: Served, format: FormatName, output: Path) -> tuple[Path, parity.Parity]:
    """Export a model into the folder `output`, with a report as JSON beside it. Return path and report.

    Raises:
        FormatError: the format cannot hold the model.
        ParityError: the export does not predict what the model predicts. It is not kept.
        OSError: a file cannot be written.
    """
    path = output / FILES[format]
    with tempfile.TemporaryDirectory(dir=output, prefix=atomic.PART) as folder:
        part = Path(folder, path.name)
        writers.write(served, format, part)
        report = parity.measure(served, format, part)
        report.check(parity.ROUNDED if _has_integers(served, format) else parity.EXACT)
        if path.is_dir():
            shutil.rmtree(path)
        part.replace(path)
    content = dataclasses.asdict(report) | {"data": served.data} | environment()
    run_folder.write_json(output / f"{path.name}.json", content)
    return path, report


def _has_integers(served: Served, format: FormatName) -> bool:
    """Return whether the export computes with integers, or the model was trained for them."""
    return format == "litert-int8" or (isinstance(served.model, MLP) and served.model.is_quantized)
