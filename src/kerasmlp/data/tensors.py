"""From arrays to tensors: types, scaling, copies."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

COPIED_AT_ONCE = 2**24
"""Bytes from which on an array becomes a tensor by one plain copy."""
TENSOR_ALIGNMENT = 64
"""Bytes at whose multiples TensorFlow wants the memory of a tensor to begin."""


without_autograph = tf.autograph.experimental.do_not_convert
"""For what `Dataset.map` gets: without it, each function's source is parsed and compiled anew."""


def scale(x: tf.Tensor) -> tf.Tensor:
    """Return bytes 0-255 as float32 in [0, 1], and anything else as it is."""
    if x.dtype != tf.uint8:
        return x
    with tf.init_scope():  # a value, not a constant: XLA would multiply by 1 / 255, and round otherwise
        white = tf.constant(255.0)
    return tf.cast(x, tf.float32) / white


def as_tensor(array: NDArray[Any]) -> tf.Tensor:
    """Return a tensor of the values of `array`; large, `tf.constant` copies it twice."""
    if array.nbytes < COPIED_AT_ONCE:
        return tf.constant(array)
    memory = np.empty(array.nbytes + TENSOR_ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % TENSOR_ALIGNMENT
    copy = memory[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return tf.experimental.dlpack.from_dlpack(copy.__dlpack__())


def integers_as_int32(labels: NDArray[Any]) -> NDArray[Any]:
    """Return integers as int32, and anything else as it is."""
    return labels.astype(np.int32) if labels.dtype.kind in "iu" else labels
