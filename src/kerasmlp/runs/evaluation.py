"""The evaluation of a finished run: per-class metrics, confusion matrix, calibration."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix, precision_recall_fscore_support

from kerasmlp import tensorboard
from kerasmlp.checkpoints import atomic
from kerasmlp.data import Examples
from kerasmlp.runs import run_folder
from kerasmlp.runs.finished import load_with_data

JSON = "evaluation.json"
FIGURE = "evaluation.png"
BINS = 15
"""Bins of equal width, by the probability of the predicted class, as in Guo et al."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How well a model predicts. Precision, recall, F1 and support are lists over the classes.

    Attributes:
        confusion: numbers of examples, `[class][predicted class]`.
        calibration: for each of the `BINS`: the number of examples, the mean probability of the
            predicted class, and the share of correct predictions (0 in an empty bin).
        calibration_error: the mean difference of that probability and share, weighted by the examples:
            the expected calibration error (Guo et al. 2017, arXiv:1706.04599, eq. 3).
    """

    examples: int
    accuracy: float
    precision: list[float]
    recall: list[float]
    f1: list[float]
    support: list[int]
    confusion: list[list[int]]
    calibration: list[tuple[int, float, float]]
    calibration_error: float


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """An evaluation of a run.

    Attributes:
        data: the name of the data.
        metrics: the loss and the compiled metrics on the test examples.
        classes: how the classes are predicted. None for a model that predicts no classes.
    """

    data: str
    metrics: dict[str, float]
    classes: Evaluation | None


def evaluate(folder: Path, data: str | None = None, transpose: bool = False) -> Evaluated:
    """Evaluate a run on its test examples. Write `evaluation.json` into its folder.

    For a model that predicts classes, write `evaluation.png` too.

    Args:
        folder: the run folder.
        data: other data to evaluate on, as `--data` takes it. None for the data of the run.
        transpose: whether rows and columns of the other images change places.

    Raises:
        ValueError: there is no model, or it does not fit the data.
        OSError: a file cannot be read or written.
    """
    model, loader = load_with_data(folder, data, transpose)
    examples = Examples(*loader.test.padded, are_images=loader.are_images)
    metrics = model.evaluate(examples.in_order(), return_dict=True, verbose=0)
    found = tensorboard.classified(model, examples)
    result = None if found is None else measure(found.probabilities, found.labels)
    content = {} if result is None else dataclasses.asdict(result)
    run_folder.write_json(folder / JSON, {**content, "metrics": metrics, "data": loader.name})
    if result is not None:
        with atomic.replacing(folder / FIGURE) as part:
            _figure(result).savefig(part, dpi=100, format="png")
    return Evaluated(loader.name, metrics, result)


def measure(probabilities: NDArray[Any], labels: NDArray[Any]) -> Evaluation:
    """Return the evaluation of `probabilities`, `[examples, classes]`, by `labels`, `[examples]`."""
    classes = range(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=classes, zero_division=0.0
    )
    calibration = _calibration(probabilities.max(axis=1), predicted == labels)
    error = sum(count * abs(mean - right) for count, mean, right in calibration) / len(labels)
    return Evaluation(
        examples=len(labels),
        accuracy=float(np.mean(predicted == labels)),
        precision=precision.tolist(),
        recall=recall.tolist(),
        f1=f1.tolist(),
        support=support.tolist(),
        confusion=confusion_matrix(labels, predicted, labels=classes).tolist(),
        calibration=calibration,
        calibration_error=error,
    )


def _calibration(confidence: NDArray[Any], right: NDArray[np.bool_]) -> list[tuple[int, float, float]]:
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    sums = (np.bincount(bins, weights, BINS) for weights in (confidence, right))
    means = (total / np.maximum(counts, 1) for total in sums)
    return [(int(n), float(mean), float(share)) for n, mean, share in zip(counts, *means, strict=True)]


def _figure(evaluation: Evaluation) -> Figure:
    """Return the confusion matrix, and the share of correct predictions against their probability."""
    figure = Figure(figsize=(12, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    matrix = np.array(evaluation.confusion)
    shown = matrix - np.diag(
        np.diag(matrix)
    )  # the errors are too few to be seen beside the correct ones
    ConfusionMatrixDisplay(shown).plot(ax=left, cmap="Blues", colorbar=False)
    left.set_title(f"errors, of {evaluation.examples:,}")
    bins = [(mean, share, count) for count, mean, share in evaluation.calibration if count]
    confidence, share, counts = zip(*bins, strict=True)
    right.plot([0, 1], [0, 1], color="C7", linewidth=1)
    right.scatter(confidence, share, s=np.sqrt(counts) * 3)
    right.set(
        xlabel="probability of the class", ylabel="share that is correct", xlim=(0, 1), ylim=(0, 1)
    )
    right.set_title(f"calibration error {evaluation.calibration_error:.4f}")
    return figure
