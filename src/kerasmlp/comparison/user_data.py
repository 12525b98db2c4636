"""Training data as users have them: any form that `fit` takes. Imports no TensorFlow for arrays."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasmlp.comparison.process import import_by_name
from kerasmlp.data import MNISTLoader

if TYPE_CHECKING:
    from kerasmlp.data import SavedDataset


Data = Any
"""One of

- a source as `--data` takes it, a loader, or `package.module:function` of a function that returns data;
- `(x, y)` or `(x, y, sample_weight)`, a tuple; x alone. Each may be arrays in dicts and lists;
- `((x, y), (x_test, y_test))`, a tuple of two tuples;
- a `tf.data.Dataset` of batches, with the same batches each time it is read.
"""


@dataclasses.dataclass(frozen=True)
class Parts:
    """Arrays of examples: x, y and sample weights, as far as there are any, each in any structure."""

    parts: tuple[Any, ...]

    def __post_init__(self) -> None:
        shapes = [array.shape for part in self.parts for array in _leaves(part)]
        if not shapes or () in shapes or len({shape[0] for shape in shapes}) > 1 or not shapes[0][0]:
            raise ValueError(
                "data: expected the same number of examples in x, y and sample_weight, at least one;"
                f" received arrays of the shapes {', '.join(map(str, shapes))}"
            )

    @property
    def examples(self) -> int:
        return len(_leaves(self.parts[0])[0])

    @property
    def padded(self) -> tuple[Any, Any, Any]:
        """x, y and sample weights; None for what there is not."""
        x, y, sample_weight, *_ = *self.parts, None, None
        return x, y, sample_weight


def as_data(
    data: Data, folder: Path
) -> "tuple[Parts | SavedDataset, Parts | SavedDataset | None, bool]":
    """Return the training data, the test data if there are any, and whether they are images as bytes.

    A dataset is saved in `folder`, where other processes read it. A `ValueError` says what is wrong.
    """
    if isinstance(data, str) and ":" in data and not Path(data).exists():
        data = import_by_name(data)
    if callable(data):
        data = data()
    if data is None or hasattr(data, "__next__"):
        raise ValueError(
            "data: expected arrays, a tf.data.Dataset of batches, a loader, or a source;"
            f" received {type(data).__name__}"
        )
    if isinstance(data, str | Path):
        data = MNISTLoader(str(data))
    if isinstance(data, MNISTLoader):
        train, test = (data.train_data, data.train_label), (data.test_data, data.test_label)
        return Parts(train), Parts(test), True
    if _is_dataset(data):
        return _saved(data, folder), None, False
    if isinstance(data, tuple) and len(data) == 2 and all(_is_set(part) for part in data):
        first, second = (
            _saved(part, path) if _is_dataset(part) else _parts(part)
            for part, path in zip(data, (folder, folder.with_name("test")), strict=True)
        )
        return first, second, False
    return _parts(data), None, False


def _saved(dataset: Any, folder: Path) -> "SavedDataset":
    from kerasmlp.data import SavedDataset

    return SavedDataset.save(dataset, folder)


def with_class_weight(
    data: "Parts | SavedDataset", class_weight: Mapping[int, float], folder: Path
) -> "Parts | SavedDataset":
    """Return the data with the weight of its class as the weight of each example, as `fit` does.

    Raises:
        ValueError: the data have weights already, or no labels of classes.
    """
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            f"class_weight: expected a dict with a weight for each class; received {class_weight!r}"
        )
    if not isinstance(data, Parts):
        dataset = data.dataset()
        if not isinstance(dataset.element_spec, tuple) or len(dataset.element_spec) != 2:
            raise ValueError("class_weight: expected a dataset of (x, y)")
        weighted = dataset.map(lambda x, y: (x, y, _weights_in_graph(y, class_weight)))
        return _saved(weighted, folder)
    if len(data.parts) != 2 or not isinstance(data.parts[1], np.ndarray):
        raise ValueError(
            "class_weight: expected data (x, y) with one array of labels, without sample_weight"
        )
    x, y = data.parts
    labels = np.asarray(_leaves(y)[0])
    if labels.ndim > 1:
        labels = labels.argmax(axis=-1) if labels.shape[-1] != 1 else labels[..., 0]
    known = {int(label): float(weight) for label, weight in class_weight.items()}
    weights = [known.get(int(label), 1.0) for label in np.round(labels)]
    return Parts((x, y, np.array(weights, np.float32)))


def _weights_in_graph(y: Any, class_weight: Mapping[int, float]) -> Any:
    import tensorflow as tf

    if y.shape.rank and y.shape.rank > 1:
        y = tf.argmax(y, axis=-1) if y.shape[-1] != 1 else y[..., 0]
    labels = tf.cast(tf.round(tf.cast(y, tf.float32)), tf.int32)
    weights = tf.ones(tf.shape(labels))
    for label, weight in class_weight.items():
        weights = tf.where(labels == int(label), float(weight), weights)
    return weights


def _is_dataset(data: Any) -> bool:
    return hasattr(data, "element_spec") and hasattr(data, "cardinality")


def _is_set(part: Any) -> bool:
    """Return whether a part of a pair is a data set of its own: lists are the inputs of one."""
    return isinstance(part, tuple) or _is_dataset(part)


def _parts(data: Any) -> Parts:
    parts = data if isinstance(data, tuple) else (data,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(
            "data: expected (x, y), (x, y, sample_weight), x alone, or ((x, y), (x_test, y_test));"
            f" received a tuple of {len(parts)}"
        )
    while len(parts) > 1 and parts[-1] is None:
        parts = parts[:-1]
    return Parts(tuple(_map(_array, part) for part in parts))


def _array(value: Any) -> NDArray[Any]:
    """Return an array. As in `fit`, numbers with a fraction get the type of Keras' weights."""
    array = np.asarray(value)
    if array.dtype.kind not in "biufSU":
        raise ValueError(f"data: expected arrays of numbers, booleans or text; received {array.dtype}")
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _map(function: Callable[[Any], Any], nest: Any) -> Any:
    """Return the structure with `function` of each of its leaves."""
    if isinstance(nest, Mapping):
        return {key: _map(function, part) for key, part in nest.items()}
    if isinstance(nest, list | tuple) and not all(np.isscalar(part) for part in nest):
        return type(nest)(_map(function, part) for part in nest)
    return function(nest)


def _leaves(nest: Any) -> list[Any]:
    found: list[Any] = []
    _map(found.append, nest)
    return found
