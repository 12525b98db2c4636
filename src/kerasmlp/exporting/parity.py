"""Parity: how much the predictions of an exported model differ from those of the model."""

import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasmlp.exporting import runtimes
from kerasmlp.exporting.formats import FormatName


class ParityError(Exception):
    """An exported model does not predict what the model predicts."""


@dataclasses.dataclass(frozen=True)
class Bound:
    """The largest difference, the smallest share of equal labels, and the largest loss of accuracy."""

    largest_difference: float
    equal_labels: float
    accuracy_loss: float


EXACT = Bound(largest_difference=1e-5, equal_labels=1.0, accuracy_loss=0.0)
"""For an export of floats, which computes the same in another order."""
ROUNDED = Bound(largest_difference=1.0, equal_labels=0.98, accuracy_loss=0.01)
"""For an export of integers, and for a model trained for integers. A sum in another order may be
rounded to another integer."""


@dataclasses.dataclass(frozen=True)
class Parity:
    """The predictions of an export in its own runtime, compared with those of the model.

    Attributes:
        bytes: the size of the file, or of all files of the folder.
        largest_difference: the largest difference of a probability.
        equal_labels: the share of images with the same most probable class.
        accuracy: the accuracy of the export.
        milliseconds_1: the median time of a call with one image.
        milliseconds_1000: the median time of a call with the first 1,000 images.
    """

    format: FormatName
    bytes: int
    images: int
    largest_difference: float
    equal_labels: float
    accuracy: float
    accuracy_of_model: float
    milliseconds_1: float
    milliseconds_1000: float

    def check(self, bound: Bound) -> None:
        """Raise a `ParityError` unless all differences are within `bound`."""
        loss = self.accuracy_of_model - self.accuracy
        if not (
            self.largest_difference <= bound.largest_difference
            and self.equal_labels >= bound.equal_labels
            and loss <= bound.accuracy_loss
        ):
            raise ParityError(
                f"{self.format}: expected probabilities within {bound.largest_difference:g} of the"
                f" model's, {bound.equal_labels:.0%} of {self.images:,} labels equal, and at most"
                f" {bound.accuracy_loss:.0%} of accuracy lost; received {self.largest_difference:g},"
                f" {self.equal_labels:.1%} and {loss:.1%}. This export is not kept."
            )


def measure(
    format: FormatName,
    path: Path,
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    probabilities: NDArray[np.float32],
) -> Parity:
    """Run an export in a new process, and compare its predictions with those of the model.

    Args:
        images: `[images, height, width, channels]`.
        labels: `[images]`.
        probabilities: the predictions of the model, `[images, classes]`.

    Raises:
        ParityError: the export does not run.
    """
    outputs = _run(format, path, images)
    predicted, predicted_by_model = outputs["probabilities"].argmax(1), probabilities.argmax(1)
    return Parity(
        format=format,
        bytes=sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file()),
        images=len(images),
        largest_difference=float(np.abs(outputs["probabilities"] - probabilities).max()),
        equal_labels=float(np.mean(predicted == predicted_by_model)),
        accuracy=float(np.mean(predicted == labels)),
        accuracy_of_model=float(np.mean(predicted_by_model == labels)),
        milliseconds_1=float(outputs["milliseconds_1"]),
        milliseconds_1000=float(outputs["milliseconds_1000"]),
    )


def _run(format: FormatName, path: Path, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Run an export in a new process, and return the arrays that `runtimes` writes."""
    with tempfile.TemporaryDirectory() as folder:
        images_path, output_path = Path(folder, "images.npy"), Path(folder, "output.npz")
        np.save(images_path, images)
        # -P: import nothing from the folder of the script, or from the current folder.
        command = [sys.executable, "-P", runtimes.__file__, format, path, images_path, output_path]
        process = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if process.returncode:
            lines = process.stderr.strip().splitlines() or [f"exit status {process.returncode}"]
            raise ParityError(f"{format}: expected an export that runs; received: {lines[-1]}")
        with np.load(output_path) as arrays:
            return dict(arrays)
