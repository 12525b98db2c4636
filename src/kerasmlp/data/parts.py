"""Examples as users have them, in any form that `fit` takes. Imports no TensorFlow for NumPy arrays."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np


@dataclasses.dataclass(frozen=True)
class Parts:
    """Arrays of examples: x, y and sample weights, as far as there are any, each in any structure.

    An array is a NumPy array, a SciPy matrix in CSR format, or a `tf.RaggedTensor`.
    """

    parts: tuple[Any, ...]

    def __post_init__(self) -> None:
        shapes = [tuple(array.shape) for part in self.parts for array in leaves(part)]
        if not shapes or () in shapes or len({shape[0] for shape in shapes}) > 1 or not shapes[0][0]:
            raise ValueError(
                "data: expected the same number of examples in x, y and sample_weight, at least one;"
                f" received arrays of the shapes {', '.join(map(str, shapes))}"
            )

    @classmethod
    def of(cls, x: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Return x, y and sample weights as `fit` takes them.

        Raises:
            ValueError: they are not arrays of as many examples.
        """
        given: tuple[Any, ...] = x, y, sample_weight
        while len(given) > 1 and given[-1] is None:
            given = given[:-1]
        return cls(tuple(mapped(_array, part) for part in given))

    @property
    def examples(self) -> int:
        """Number of examples."""
        return int(leaves(self.parts)[0].shape[0])

    @property
    def are_dense(self) -> bool:
        """Whether all arrays are NumPy arrays."""
        return all(isinstance(array, np.ndarray) for array in leaves(self.parts))

    @property
    def padded(self) -> tuple[Any, Any, Any]:
        """x, y and sample weights; None for what there is not."""
        x, y, sample_weight, *_ = *self.parts, None, None
        return x, y, sample_weight

    def part(self, begin: int, end: int) -> Self:
        """Return the examples from `begin` to `end`."""
        return type(self)(tuple(mapped(lambda rows: rows[begin:end], part) for part in self.parts))

    def fingerprint(self) -> str:
        """Return the hexadecimal SHA-256 of types, shapes and values."""
        digest = hashlib.sha256()
        for array in leaves(self.parts):
            digest.update(f"{array.dtype} {array.shape}".encode())
            for values in _values(array):
                digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()


def mapped(function: Callable[[Any], Any], nest: Any) -> Any:
    """Return the structure with `function` of each of its leaves. None stays None."""
    if nest is None:
        return None
    if isinstance(nest, Mapping):
        return {key: mapped(function, part) for key, part in nest.items()}
    if isinstance(nest, list | tuple) and not all(np.isscalar(part) for part in nest):
        parts = [mapped(function, part) for part in nest]
        return type(nest)(*parts) if hasattr(nest, "_fields") else type(nest)(parts)
    return function(nest)


def leaves(nest: Any) -> list[Any]:
    """Return the leaves of a structure, in their order."""
    found: list[Any] = []
    mapped(found.append, nest)
    return found


def _array(value: Any) -> Any:
    """Return an array. As in `fit`, numbers with a fraction get the type of Keras' weights."""
    if hasattr(value, "flat_values"):  # a ragged tensor
        return value
    if hasattr(value, "dense_shape"):  # a sparse tensor
        from scipy.sparse import coo_array

        rows, columns = np.asarray(value.indices).T
        value = coo_array((np.asarray(value.values), (rows, columns)), tuple(value.shape))
    if hasattr(value, "tocsr"):
        array = value.tocsr()
        array.sort_indices()
    else:
        array = np.asarray(value)
    if array.dtype == object and all(isinstance(text, str | bytes) for text in array.ravel()):
        array = array.astype(type(array.ravel()[0]) if array.size else str)
    if array.dtype.kind not in "biufSU":
        raise ValueError(f"data: expected arrays of numbers, booleans or text; received {array.dtype}")
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _values(array: Any) -> Iterator[Any]:
    """Yield NumPy arrays that together hold all values of an array."""
    if hasattr(array, "flat_values"):
        yield array.flat_values.numpy()
        yield from (splits.numpy() for splits in array.nested_row_splits)
    elif hasattr(array, "tocsr"):
        yield from (array.data, array.indices, array.indptr)
    else:
        yield array
