"""An export: written, checked against the model, and put in its place only if it agrees."""

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
"""Test images of the parity check, and training images on which ranges are found."""


def write_checked(
    model: MLP, data: MNISTLoader, format: FormatName, output: Path
) -> tuple[Path, parity.Parity]:
    """Write `model` into the folder `output`, with its parity report beside it. Return path and report.

    Args:
        model: a trained one.
        data: its data. The first 1,000 test images are those of the report.
        format: to write.
        output: a folder, which is made if there is none.

    Raises:
        ParityError: the export does not predict what the model predicts. Nothing was written.
        OSError: a file cannot be written.
    """
    test = Examples(data.test_data[:IMAGES], data.test_label[:IMAGES])
    rounded = model.is_quantized or format == "litert-int8"
    output.mkdir(parents=True, exist_ok=True)
    path = output / FILES[format]
    with tempfile.TemporaryDirectory(dir=output, prefix=atomic.PART) as folder:
        part = Path(folder, path.name)
        writers.write(model, format, part, data.train_data[:IMAGES])
        report = parity.measure(format, part, test.images, test.labels, test.probabilities(model))
        report.check(parity.ROUNDED if rounded else parity.EXACT)
        if path.is_dir():
            shutil.rmtree(path)
        part.replace(path)
    known = dataclasses.asdict(report) | {"data": data.name} | environment()
    run_folder.write_json(output / f"{path.name}.json", known)
    return path, report
