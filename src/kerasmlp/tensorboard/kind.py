"""What kind of examples a model has: classified, predicted as numbers, or neither; and images or not.

The dashboards that are not for every model ask here. Several outputs are of no kind, and several inputs
are no images.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasmlp.data import Examples

CLASSES = 100
"""The number of classes that have a curve, at most; and that a confusion matrix has, at most."""

OUTPUT_BYTES = 2**28
"""Larger outputs of all examples are of no kind: they are those of sequences, most often."""


class Classified(NamedTuple):
    """Labels, integers `[examples]`, and probabilities, floats `[examples, classes]`."""

    labels: NDArray[np.integer]
    probabilities: NDArray[np.floating]


class Regressed(NamedTuple):
    """True and predicted values, float64 `[values]`, of all parts of the targets of all examples."""

    true: NDArray[np.float64]
    predicted: NDArray[np.float64]


def classified(model: keras.Model, examples: Examples) -> Classified | None:
    """Return the labels and the probabilities of `examples`. None if `model` does not classify them.

    It does if it has one output, and

    - `[examples, classes]`: the targets are integers `[examples]` or `[examples, 1]`, or rows with one 1
      and else 0; and the loss is a cross-entropy, or the outputs are probabilities;
    - `[examples, 1]` or `[examples]`: the targets are 0 or 1, and the loss is a binary cross-entropy.
    """
    targets, outputs = _single(examples.y), _outputs(model, examples)
    if targets is None or outputs is None:
        return None
    loss, _ = loss_of(model)
    if loss.startswith("binary"):
        labels = _columns(targets)
        if labels.ndim != 1 or _columns(outputs).ndim != 1 or not _are_integers(labels, 2):
            return None
        return Classified(labels.astype(int), probabilities(model, outputs))
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        return None
    are_probabilities = outputs.min() >= 0 and np.allclose(outputs.sum(axis=1), 1, atol=1e-2)
    found = _labels(targets, outputs.shape[1])
    if found is None or not (loss.endswith("crossentropy") or are_probabilities):
        return None
    return Classified(found, probabilities(model, outputs))


def probabilities(model: keras.Model, outputs: NDArray[Any]) -> NDArray[Any]:
    """Return outputs of a model that classifies as probabilities, `[examples, classes]`."""
    loss, from_logits = loss_of(model)
    if loss.startswith("binary"):
        positive = _columns(outputs)
        positive = tf.sigmoid(positive).numpy() if from_logits else positive
        return np.stack([1 - positive, positive], axis=1)
    return tf.nn.softmax(outputs).numpy() if from_logits else outputs


def regressed(model: keras.Model, examples: Examples) -> Regressed | None:
    """Return the true and the predicted values of `examples`. None if `model` does not predict numbers.

    It does if it has one output, with the shape of the targets, and the loss is no cross-entropy.
    """
    targets, outputs = _single(examples.y), _outputs(model, examples)
    if targets is None or outputs is None or classified(model, examples) is not None:
        return None
    targets, outputs = _columns(targets), _columns(outputs)
    if targets.shape != outputs.shape or loss_of(model)[0].endswith("crossentropy"):
        return None
    return Regressed(targets.ravel().astype(float), outputs.ravel().astype(float))


def images(examples: Examples) -> NDArray[np.uint8] | None:
    """Return the inputs as images, `[examples, height, width, 1 or 3]`. None if they are none.

    Inputs are images if they are bytes or floats of this shape, or bytes `[examples, height, width]`.
    Floats outside of 0 to 1 are shown from black, the least, to white, the largest.
    """
    x = _single(examples.x)
    if x is None:
        return None
    if x.ndim == 3 and x.dtype == np.uint8:
        x = x[..., np.newaxis]
    if x.ndim != 4 or x.shape[3] not in (1, 3) or 0 in x.shape:
        return None
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind != "f" or not np.isfinite(x).all():
        return None
    low, high = min(0.0, float(x.min())), max(1.0, float(x.max()))
    return np.rint((x - low) * (255 / (high - low))).astype(np.uint8)


def _single(part: Any) -> NDArray[Any] | None:
    return part if isinstance(part, np.ndarray) and part.ndim and part.dtype.kind in "biuf" else None


def _outputs(model: keras.Model, examples: Examples) -> NDArray[Any] | None:
    """Return the single output. None if there are several, or if the model cannot be called."""
    if examples.x is None:  # batches that cannot be joined
        return None
    try:
        outputs = examples.predictions(model, OUTPUT_BYTES)
    except Exception:  # too large; or the model has a `train_step` of its own, and no `call`
        return None
    is_half = isinstance(outputs, np.ndarray) and outputs.dtype.itemsize == 2
    return _single(outputs.astype(np.float32) if is_half else outputs)


def _columns(array: NDArray[Any]) -> NDArray[Any]:
    """Return `[examples, 1]` as `[examples]`, and all others as they are."""
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _are_integers(labels: NDArray[Any], classes: int) -> bool:
    return bool((labels == np.floor(labels)).all() and labels.min() >= 0 and labels.max() < classes)


def _labels(targets: NDArray[Any], classes: int) -> NDArray[np.integer] | None:
    """Return the label of each example, `[examples]`, from labels or from rows with one 1 and else 0."""
    if targets.shape[1:] == (classes,):
        is_one = targets == 1
        one_hot = (is_one.sum(axis=1) == 1).all() and not targets[~is_one].any()
        return targets.argmax(axis=1) if one_hot else None
    labels = _columns(targets)
    return labels.astype(int) if labels.ndim == 1 and _are_integers(labels, classes) else None


def loss_of(model: keras.Model) -> tuple[str, bool]:
    """Return the name of the loss, as `binarycrossentropy`, and whether it takes logits.

    The name is empty for a model that computes its loss itself.
    """
    loss = model.loss
    while isinstance(loss, dict | list | tuple) and len(loss) == 1:
        (loss,) = loss.values() if isinstance(loss, dict) else loss
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    name = getattr(loss, "__name__", type(loss).__name__ if callable(loss) else "")
    return name.replace("_", "").lower(), bool(getattr(loss, "from_logits", False))
