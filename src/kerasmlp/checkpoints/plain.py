"""Values as a checkpoint holds them: JSON and arrays."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
"""Arrays by name."""
Key = str | int | float | None
COMPARISONS = {"less": keras.ops.less, "greater": keras.ops.greater}
"""What Keras' callbacks compare a monitored value with the best one by."""


def to_json(value: Any, name: str, arrays: Arrays) -> Any:
    """Return `value` as JSON can hold it. Add the arrays in it to `arrays`, named from `name` on.

    Raises:
        TypeError: a checkpoint cannot hold the value.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        arrays[name] = np.array(value)
        return {"array" if isinstance(value, np.ndarray) else "number": [name, value.dtype.name]}
    if type(value) in (list, tuple):
        parts = [to_json(part, f"{name}/{place:04}", arrays) for place, part in enumerate(value)]
        return parts if isinstance(value, list) else {"tuple": parts}
    if type(value) is dict and all(isinstance(key, Key) for key in value):
        return {"dict": list(zip(value, to_json([*value.values()], name, arrays), strict=True))}
    for comparison, function in COMPARISONS.items():
        if value is function:
            return {"comparison": comparison}
    raise TypeError(
        f"{name}: expected None, a number, a string, an array, or a list, tuple or dict of them;"
        f" received {value!r}"
    )


def from_json(value: Any, arrays: Arrays) -> Any:
    """Return the value that `to_json` was given, with arrays of its own."""
    if isinstance(value, list):
        return [from_json(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind in ("array", "number"):
        name, dtype = content
        array = arrays[name].copy()
        if array.dtype.kind == "V":  # NumPy saves bfloat16 as raw bytes
            array = array.view(dtype)
        return array if kind == "array" else array[()]
    if kind == "tuple":
        return tuple(from_json(content, arrays))
    if kind == "comparison":
        return COMPARISONS[content]
    return {key: from_json(part, arrays) for key, part in content}
