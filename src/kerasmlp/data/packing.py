"""The form of a batch: its parts, as `fit` takes them from a dataset."""

from typing import Any

import keras
import tensorflow as tf


def packed(*parts: Any) -> Any:
    """Return the parts of a batch, `x`, `y` and `sample_weight`, in the form that `fit` gives them.

    As in `fit`, lists are tuples: a list cannot be an element of a dataset.
    """
    return keras.utils.pack_x_y_sample_weight(*map(keras.tree.lists_to_tuples, parts))


def unpacked(batch: Any) -> tuple[Any, ...]:
    """Return the parts of a batch of a dataset: x, or x and y, or x, y and sample weights.

    Optional inputs that a batch does not have are None. So is y, if there are only sample weights.
    """
    batch = keras.tree.map_structure(
        lambda part: None if isinstance(part, tf.experimental.Optional) else part, batch
    )
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    if sample_weight is not None:
        return x, y, sample_weight
    return (x,) if y is None else (x, y)
