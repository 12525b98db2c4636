"""Conversion of arrays to tensors: types, scaling, copies."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

LARGE_ARRAY = 2**24
"""Arrays of this many bytes or more are copied to a tensor only once."""
TENSOR_ALIGNMENT = 64
"""TensorFlow wants the memory of a tensor to start at a multiple of this many bytes."""

without_autograph = tf.autograph.experimental.do_not_convert
"""For functions that `Dataset.map` gets. AutoGraph would parse and compile the source of each."""


def scale(x: tf.Tensor) -> tf.Tensor:
    """Return bytes 0-255 as float32 in [0, 1]. Return other types unchanged."""
    if x.dtype != tf.uint8:
        return x
    # Not a constant of the graph: XLA would multiply by 1 / 255, which rounds differently.
    with tf.init_scope():
        white = tf.constant(255.0)
    return tf.cast(x, tf.float32) / white


def as_tensor(array: NDArray[Any]) -> tf.Tensor:
    """Return the values of `array` as a tensor. `tf.constant` would copy a large array twice."""
    if array.nbytes < LARGE_ARRAY or array.dtype.kind in "SU":
        return tf.constant(array)
    memory = np.empty(array.nbytes + TENSOR_ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % TENSOR_ALIGNMENT
    copy = memory[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return tf.experimental.dlpack.from_dlpack(copy.__dlpack__())


def labels_as_tensor(labels: NDArray[Any]) -> tf.Tensor:
    """Return labels as a tensor: integers as int32, other types unchanged."""
    return tf.constant(labels.astype(np.int32) if labels.dtype.kind in "iu" else labels)


def without_tuner(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return the dataset without the thread that tunes its parallelism while it is read.

    In TensorFlow 2.21, on a busy machine, this thread can miss that its iterator is deleted. It sleeps
    on, and the deletion waits for it: 10 ms at first, and twice as long each time, up to a minute.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
