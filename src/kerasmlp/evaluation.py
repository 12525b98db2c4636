"""How good predictions are: by class, which class for which, and how well calibrated."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

BINS = 15
"""Of equal width, over the probability of the class that is predicted, as Guo et al. have them."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Predictions held against labels.

    Attributes:
        examples: how many.
        accuracy: the share that is right.
        precision: of each class, the share of what was called so that is so; 0 where nothing was.
        recall: of each class, the share of what is so that was called so; 0 where nothing is.
        f1: of each class, the harmonic mean of the two.
        support: examples of each class.
        confusion: int64 `[class, predicted class]`, examples.
        calibration: for each of the `BINS`, the number of examples, their mean probability of the
            predicted class, and the share that is right (0 in a bin without examples).
        calibration_error: the expected calibration error: over the bins, the mean difference of
            probability and share, weighted by the examples (Guo et al. 2017, arXiv:1706.04599, eq. 3).
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


def evaluate(probabilities: NDArray[Any], labels: NDArray[Any]) -> Evaluation:
    """Return how good `probabilities`, `[examples, classes]`, are for `labels`, `[examples]`."""
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
    """Return examples, mean confidence and share of right ones in each bin."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    sums = (np.bincount(bins, weights, BINS) for weights in (confidence, right))
    means = (total / np.maximum(counts, 1) for total in sums)
    return [(int(n), float(mean), float(share)) for n, mean, share in zip(counts, *means, strict=True)]
