"""The rows of an array of examples in TensorFlow, and how some of them are gathered."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from kerasmlp.data.tensors import as_tensor


@dataclasses.dataclass(frozen=True)
class SparseRows:
    """A sparse matrix: for each row the columns that are not 0, and their values."""

    columns: tf.RaggedTensor
    values: tf.RaggedTensor
    width: int


def as_rows(array: Any) -> Any:
    """Return the rows of an array, as `kerasmlp.data.Parts` has it, with one dimension or two."""
    if array is None or isinstance(array, tf.RaggedTensor):
        return array
    if isinstance(array, np.ndarray):
        return as_tensor(array.reshape(len(array), -1) if array.ndim > 2 else array)
    columns, values = (
        tf.RaggedTensor.from_row_splits(part, array.indptr.astype(np.int64))
        for part in (array.indices.astype(np.int64), array.data)
    )
    return SparseRows(columns, values, array.shape[1])


def gather(rows: Any, array: Any, indices: tf.Tensor) -> Any:
    """Return the examples at `indices`, of any shape; one-dimensional for rows that are not dense."""
    if isinstance(rows, SparseRows):
        values = tf.gather(rows.values, indices)
        places = tf.stack([values.value_rowids(), tf.gather(rows.columns, indices).flat_values], axis=1)
        shape = tf.stack([tf.size(indices, tf.int64), tf.constant(rows.width, tf.int64)])
        found = tf.SparseTensor(places, values.flat_values, shape)
        found.set_shape([*indices.shape, rows.width])
        return found
    if rows is None or isinstance(rows, tf.RaggedTensor):
        return None if rows is None else tf.gather(rows, indices)
    found = tf.gather(rows, indices)
    if array.ndim > 2:
        found = tf.reshape(found, tf.concat([tf.shape(indices), array.shape[1:]], 0))
    return tf.ensure_shape(found, [*indices.shape, *array.shape[1:]])
