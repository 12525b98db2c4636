"""The inputs of a trained model as text, which `metrics.json` holds: `float32 [28, 28, 1]`."""

import json
import re
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.data import Source


def described(specs: Any) -> Any:
    """Return the specifications of a batch of inputs, in any structure, as JSON can hold them."""
    return keras.tree.map_structure(lambda part: f"{part.dtype.name} {list(part.shape)[1:]}", specs)


def symbolic(description: Any) -> Any:
    """Return a batch without values of the inputs that `described` has described."""

    def tensor(part: str) -> keras.KerasTensor:
        dtype, _, shape = part.partition(" ")
        return keras.KerasTensor((None, *json.loads(shape.replace("None", "null"))), dtype)

    return keras.tree.map_structure(tensor, description)


def check(description: Any, data: Source) -> None:
    """Raise a `ValueError` if inputs are unlike those that the model was trained on.

    Args:
        description: what `described` returned for these. None if that is not known.
        data: the data with the inputs that are checked.
    """
    x = data.test.padded[0]
    scaled = tf.float32 if data.are_images else None
    received = described(
        keras.tree.map_structure(lambda part: tf.TensorSpec(part.shape, scaled or part.dtype), x)
    )
    if description is not None and not _is_like(description, received):
        raise ValueError(
            f"--data: expected inputs as the model was trained on, {description};"
            f" {data.name} has {received}"
        )


def _is_like(expected: Any, received: Any) -> bool:
    """Return whether inputs so described have the same names, kinds of numbers, and numbers of axes."""
    if isinstance(expected, dict) and isinstance(received, dict):
        return expected.keys() == received.keys() and all(
            _is_like(each, received[name]) for name, each in expected.items()
        )
    if isinstance(expected, list):  # which no file of arrays has: they come by their names
        return True
    return _kind(expected) == _kind(received)


def _kind(description: Any) -> tuple[str, int]:
    """Return the kind of numbers, as `int`, and the number of axes."""
    dtype, _, shape = str(description).partition(" ")
    return re.sub(r"^u?([a-z]+)\d*$", r"\1", dtype), shape.count(",") + (shape != "[]")
