"""What a model of the user's holds as attributes, beside the variables that Keras knows."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf


def optimizers(model: keras.Model) -> list[Any]:
    """Return the compiled optimizer, and the others that the model has, as a GAN does."""
    return _unlike([model.optimizer, *_within(vars(model).values(), keras.optimizers.Optimizer)])


def plain_variables(model: keras.Model) -> list[tf.Variable]:
    """Return the TensorFlow variables that the model has: Keras does not count them as its own."""
    return _unlike(_within(vars(model).values(), tf.Variable))


def _within(values: Iterable[Any], kind: type) -> Iterator[Any]:
    for value in values:
        if isinstance(value, kind):
            yield value
        elif isinstance(value, list | tuple):
            yield from _within(value, kind)
        elif isinstance(value, dict):
            yield from _within(value.values(), kind)


def _unlike(values: Iterable[Any]) -> list[Any]:
    """Return each value once, and None not at all."""
    return list({id(value): value for value in values if value is not None}.values())
