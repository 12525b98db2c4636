"""Training data as users have them: any form that `fit` takes. Imports no TensorFlow for arrays."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasmlp.data import Parts, Source, read_source, weighted, weighted_dataset
from kerasmlp.runs import import_by_name

if TYPE_CHECKING:
    from kerasmlp.data import SavedDataset


Data = Any
"""One of

- a source as `--data` takes it, a loader, or `package.module:function` of a function that returns data;
- `(x, y)` or `(x, y, sample_weight)`, a tuple; x alone. Each may be arrays in dicts and lists;
- `((x, y), (x_test, y_test))`, a tuple of two tuples;
- a `tf.data.Dataset` of batches, with the same batches each time it is read.
"""


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
        data = read_source(str(data), any_arrays=True)
    if isinstance(data, Source):
        return data.train, data.test, data.are_images
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
    if isinstance(data, Parts):
        return weighted(data, class_weight)
    return _saved(weighted_dataset(data.dataset(), class_weight), folder)


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
    return Parts.of(*parts)
