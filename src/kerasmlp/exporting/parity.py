"""Parity: how much the predictions of an exported model differ from those of the model."""

import dataclasses
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasmlp.exporting import drawn, runtimes
from kerasmlp.exporting.formats import FormatName
from kerasmlp.exporting.reasons import FormatError
from kerasmlp.exporting.served import Served


class ParityError(Exception):
    """An exported model does not predict what the model predicts."""


class NotRunError(Exception):
    """There is nothing to run an export with. The message says what, and how to get it."""


@dataclasses.dataclass(frozen=True)
class Bound:
    """What an export may differ by, see `Parity`.

    Attributes:
        largest_difference: the most that it may be.
        equal_labels: the least that it may be.
        accuracy_loss: the most that the accuracy may be below that of the model.
        variance_loss: the most that it may be.
        drawn_alike: the least share of `drawn_certain` that it may be.
    """

    largest_difference: float
    equal_labels: float
    accuracy_loss: float
    variance_loss: float
    drawn_alike: float = 0.99


EXACT = Bound(1e-5, equal_labels=1.0, accuracy_loss=0.0, variance_loss=1.0)
"""For an export of floats, which computes the same in another order."""
ROUNDED = Bound(1.0, equal_labels=0.98, accuracy_loss=0.01, variance_loss=0.01)
"""For an export of integers, and for a model trained for integers. A sum in another order may be
rounded to another integer. Numbers beyond their range on the training examples are cut, so that the
largest difference says little: the mean of all is bounded, as the accuracy is. Measured on the diabetes
table of scikit-learn, with two layers of 64 units: 0.02 % of the variance is lost if the table is
standardised before, and 2 % to 7 % if a `Normalization` in the model does it, in integers too."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parity:
    """The predictions of an export in its own runtime, compared with those of the model.

    Attributes:
        bytes: the size of the file, or of all files of the folder.
        largest_difference: the largest difference of a probability. For a model that predicts no
            classes, the largest difference of an output, divided by the largest absolute value of this
            output if that is more than 1.
        equal_labels: the share of examples with the same most probable class. This, and both
            accuracies, are None for a model that predicts no classes.
        accuracy: the accuracy of the export.
        variance_loss: the mean squared difference of an output, divided by the variance of this output:
            the largest of all outputs. None for a model that predicts classes.
        drawn_equal: how many digits that were drawn on a page it reads as `kerasmlp.predict` does. This,
            and the next two, are None for the other formats.
        drawn_certain: how many of all drawn digits `kerasmlp.predict` is certain of.
        drawn_alike: how many of these are read alike, if a pixel more or less to a side is the same.
        milliseconds_1: the median time of a call with one example.
        milliseconds_1000: the median time of a call with the first 1,000 examples.
    """

    format: FormatName
    bytes: int
    examples: int
    largest_difference: float
    equal_labels: float | None = None
    accuracy: float | None = None
    accuracy_of_model: float | None = None
    variance_loss: float | None = None
    drawn_equal: int | None = None
    drawn_certain: int | None = None
    drawn_alike: int | None = None
    milliseconds_1: float
    milliseconds_1000: float

    def check(self, bound: Bound) -> None:
        """Raise a `ParityError` unless all differences are within `bound`."""
        within = self.largest_difference <= bound.largest_difference
        received = f"{self.largest_difference:g}"
        if self.equal_labels is None or self.accuracy is None or self.accuracy_of_model is None:
            loss = self.variance_loss or 0.0
            within = within and loss <= bound.variance_loss
            expected = f"outputs within {bound.largest_difference:g} of the model's largest"
            if bound.variance_loss < 1:
                expected += f", and at most {bound.variance_loss:.0%} of their variance lost"
                received += f" and {loss:.1%}"
        else:
            loss = self.accuracy_of_model - self.accuracy
            within = within and self.equal_labels >= bound.equal_labels and loss <= bound.accuracy_loss
            expected = (
                f"probabilities within {bound.largest_difference:g} of the model's,"
                f" {bound.equal_labels:.0%} of {self.examples:,} labels equal, and at most"
                f" {bound.accuracy_loss:.0%} of accuracy lost"
            )
            received += f", {self.equal_labels:.1%} and {loss:.1%}"
            if self.drawn_certain is not None and self.drawn_alike is not None:
                within = within and self.drawn_alike >= bound.drawn_alike * self.drawn_certain
                expected += f"; and {bound.drawn_alike:.0%} of drawn digits read as by kerasmlp.predict"
                received += f"; and {self.drawn_alike} of {self.drawn_certain}"
        if not within:
            raise ParityError(
                f"{self.format}: expected {expected}; received {received}. This export is not kept."
            )


def measure(served: Served, format: FormatName, path: Path) -> Parity:
    """Run an export in a new process, and compare its predictions with those of the model.

    Raises:
        FormatError: the export does not run.
        ParityError: its outputs have other shapes.
        NotRunError: there is nothing to run it with.
    """
    results = _run(served, format, path)
    on_paper = [results.pop(name) for name in ("pictures", "drawn") if format == "html"]
    times = [float(results.pop(f"milliseconds_{examples}")) for examples in (1, runtimes.BATCH)]
    outputs = list(results.values())
    expected, received = ([array.shape for array in each] for each in (served.outputs, outputs))
    if received != expected:
        raise ParityError(f"{format}: expected outputs of the shapes {expected}; received {received}")
    compared: dict[str, Any] = (
        _compare_numbers(served, outputs) if served.labels is None else _compare_labels(served, outputs)
    )
    if on_paper:
        compared |= drawn.compared(served.model, *on_paper)
    return Parity(
        format=format,
        bytes=size(path),
        examples=served.examples,
        milliseconds_1=times[0],
        milliseconds_1000=times[1],
        **compared,
    )


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def _compare_labels(served: Served, outputs: list[NDArray[Any]]) -> dict[str, float]:
    """Return those attributes of `Parity` that a model has that predicts classes."""
    found, expected = served.probabilities(outputs), served.probabilities(served.outputs)
    label, by_model = found.argmax(axis=1), expected.argmax(axis=1)
    return {
        "largest_difference": float(np.abs(found - expected).max()),
        "equal_labels": float(np.mean(label == by_model)),
        "accuracy": float(np.mean(label == served.labels)),
        "accuracy_of_model": float(np.mean(by_model == served.labels)),
    }


def _compare_numbers(served: Served, outputs: list[NDArray[Any]]) -> dict[str, float]:
    """Return those of a model that predicts no classes."""
    largest, losses = [], []
    for output, of_model in zip(outputs, served.outputs, strict=True):
        expected = of_model.astype(float)
        difference = np.abs(output - expected)
        largest.append(float(difference.max() / max(1.0, np.abs(expected).max())))
        losses.append(float(np.mean(difference**2) / (expected.var() or 1.0)))
    return {"largest_difference": max(largest), "variance_loss": max(losses)}


def _run(served: Served, format: FormatName, path: Path) -> dict[str, NDArray[Any]]:
    """Run an export in a new process, and return the arrays that `runtimes` writes."""
    is_keras, environment = format == "keras", dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        inputs_path, output_path = Path(folder, "inputs.npz"), Path(folder, "output.npz")
        members = _members(served, are_named=not is_keras)
        if format == "html":
            members["strokes"] = drawn.digits_as_json()
        np.savez(inputs_path, **members)
        # -P: import nothing from the folder of the script, or from the current folder.
        command = [sys.executable, "-P", runtimes.__file__, format, path, inputs_path, output_path]
        if is_keras:  # the only format that needs the code of the model
            command.append(served.module or "kerasmlp")
            environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        process = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
        )
        if process.returncode == runtimes.UNAVAILABLE:
            raise NotRunError(process.stderr.strip())
        if process.returncode:
            lines = process.stderr.strip().splitlines() or [f"exit status {process.returncode}"]
            raise FormatError(format, f"its runtime fails: {lines[-1]}")
        with np.load(output_path) as arrays:
            return dict(arrays)


def _members(served: Served, are_named: bool) -> dict[str, Any]:
    """Return inputs as the arrays of an `.npz` file, with their names in an export or in the data."""
    if not isinstance(served.x, dict):
        return {"x": served.x}
    named = served.by_name(served.x) if are_named else served.x
    return {f"x/{name}": array for name, array in named.items()}
