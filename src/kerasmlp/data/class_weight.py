"""The weights of classes as weights of examples, as `fit` uses them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasmlp.data.parts import Parts

if TYPE_CHECKING:
    import tensorflow as tf


def check(class_weight: Any) -> None:
    """Raise a `ValueError` if `class_weight` is no dict."""
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            f"class_weight: expected a dict with a weight for each class; received {class_weight!r}"
        )


def weighted(data: Parts, class_weight: Mapping[int, float]) -> Parts:
    """Return the data with the weight of its class as the weight of each example.

    Raises:
        ValueError: the data have weights already, or no labels of classes.
    """
    check(class_weight)
    if len(data.parts) != 2 or not isinstance(data.parts[1], np.ndarray):
        raise ValueError(
            "class_weight: expected data (x, y) with one array of labels, without sample_weight"
        )
    x, labels = data.parts
    y = labels
    if labels.ndim > 1:
        labels = labels.argmax(axis=-1) if labels.shape[-1] != 1 else labels[..., 0]
    known = {int(label): float(weight) for label, weight in class_weight.items()}
    weights = [known.get(int(label), 1.0) for label in np.round(labels)]
    return Parts((x, y, np.array(weights, np.float32)))


def weighted_dataset(dataset: "tf.data.Dataset", class_weight: Mapping[int, float]) -> "tf.data.Dataset":
    """Return a dataset of `(x, y)` with the weight of its class as the weight of each example.

    Raises:
        ValueError: the dataset has weights already, or no labels in one tensor.
    """
    check(class_weight)
    match dataset.element_spec:
        case (_, spec) if hasattr(spec, "shape"):
            return dataset.map(lambda x, y: (x, y, _weights_in_graph(y, class_weight)))
    raise ValueError("class_weight: expected a dataset of (x, y) with one tensor of labels")


def _weights_in_graph(y: Any, class_weight: Mapping[int, float]) -> Any:
    import tensorflow as tf

    if y.shape.rank and y.shape.rank > 1:
        y = tf.argmax(y, axis=-1) if y.shape[-1] != 1 else y[..., 0]
    labels = tf.cast(tf.round(tf.cast(y, tf.float32)), tf.int32)
    weights = tf.ones(tf.shape(labels))
    for label, weight in class_weight.items():
        weights = tf.where(labels == int(label), float(weight), weights)
    return weights
