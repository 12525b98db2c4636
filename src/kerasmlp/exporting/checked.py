"""Writes an export, and keeps it only if it predicts what the model predicts."""

import dataclasses
import shutil
import tempfile
from pathlib import Path

from kerasmlp.checkpoints import atomic
from kerasmlp.data import Examples, MNISTLoader
from kerasmlp.exporting import parity, writers
from kerasmlp.exporting.formats import FILES, FormatName
from kerasmlp.models import MLP
from kerasmlp.runs import environment, run_folder

IMAGES = 1000
"""Number of test images for the parity check, and of training images for the calibration of integers."""


def write_checked(
    model: MLP, data: MNISTLoader, format: FormatName, output: Path
) -> tuple[Path, parity.Parity]:
    """Export `model` into the folder `output`, with a report as JSON beside it. Return path and report.

    Raises:
        ParityError: the export does not predict what the model predicts. It is not kept.
        OSError: a file cannot be written.
    """
    test = Examples(data.test_data[:IMAGES], data.test_label[:IMAGES], are_images=True)
    has_integers = model.is_quantized or format == "litert-int8"
    path = output / FILES[format]
    with tempfile.TemporaryDirectory(dir=output, prefix=atomic.PART) as folder:
        part = Path(folder, path.name)
        writers.write(model, format, part, data.train_data[:IMAGES])
        report = parity.measure(format, part, test.x, test.y, test.predictions(model))
        report.check(parity.ROUNDED if has_integers else parity.EXACT)
        if path.is_dir():
            shutil.rmtree(path)
        part.replace(path)
    content = dataclasses.asdict(report) | {"data": data.name} | environment()
    run_folder.write_json(output / f"{path.name}.json", content)
    return path, report
