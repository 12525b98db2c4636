"""Whether an exported model says what the model it came from says: measured, and held to a bound."""

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
    """An exported model does not say what the model says that it came from."""


@dataclasses.dataclass(frozen=True)
class Bound:
    """What an export may differ by.

    Attributes:
        largest_difference: of a probability.
        equal_labels: the least share of images whose most probable class is the same.
        accuracy_loss: of the accuracy.
    """

    largest_difference: float
    equal_labels: float
    accuracy_loss: float


EXACT = Bound(largest_difference=1e-5, equal_labels=1.0, accuracy_loss=0.0)
"""For the same arithmetic, in another order."""
ROUNDED = Bound(largest_difference=1.0, equal_labels=0.98, accuracy_loss=0.01)
"""For integers, and for a model that rounds as they do: where a sum is taken in another order, it may
round to the next."""


@dataclasses.dataclass(frozen=True)
class Parity:
    """What an exported model gave in its own runtime, beside the model it came from.

    Attributes:
        format: of the export.
        bytes: the size of the file, or of the files of a folder.
        images: how many were run.
        largest_difference: of a probability.
        equal_labels: the share of images whose most probable class is the same.
        accuracy: of the export.
        accuracy_of_model: that it came from.
        milliseconds_1: the median time of a call with one image.
        milliseconds_1000: the same with the first 1,000.
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
        """Check that all is within `bound`.

        Raises:
            ParityError: it is not.
        """
        loss = self.accuracy_of_model - self.accuracy
        if (
            self.largest_difference <= bound.largest_difference
            and self.equal_labels >= bound.equal_labels
            and loss <= bound.accuracy_loss
        ):
            return
        raise ParityError(
            f"{self.format}: expected probabilities within {bound.largest_difference:g} of the model's,"
            f" {bound.equal_labels:.0%} of {self.images:,} labels equal, and at most"
            f" {bound.accuracy_loss:.0%} of accuracy lost; received {self.largest_difference:g},"
            f" {self.equal_labels:.1%} and {loss:.1%}; nothing was written"
        )


def measure(
    format: FormatName,
    path: Path,
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    probabilities: NDArray[np.float32],
) -> Parity:
    """Run the export at `path` in a process of its own, and hold what it gives against the model's.

    Args:
        format: of the export.
        path: of the export.
        images: `[images, height, width, channels]`.
        labels: `[images]`.
        probabilities: the model's, `[images, classes]`.

    Raises:
        ParityError: it does not run.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder, "images.npy"), Path(folder, "out.npz")
        np.save(given, images)
        # -P: the folder of this package is no place to import from, nor is the current one.
        command = [sys.executable, "-P", runtimes.__file__, format, path, given, out]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise ParityError(f"{format}: expected an export that runs; received: {last}")
        with np.load(out) as arrays:
            found = dict(arrays)
    files = [file for file in (path, *path.rglob("*")) if file.is_file()]
    said = found["probabilities"]
    return Parity(
        format=format,
        bytes=sum(file.stat().st_size for file in files),
        images=len(images),
        largest_difference=float(np.abs(said - probabilities).max()),
        equal_labels=float(np.mean(said.argmax(axis=1) == probabilities.argmax(axis=1))),
        accuracy=float(np.mean(said.argmax(axis=1) == labels)),
        accuracy_of_model=float(np.mean(probabilities.argmax(axis=1) == labels)),
        milliseconds_1=float(found["milliseconds_1"]),
        milliseconds_1000=float(found["milliseconds_1000"]),
    )
