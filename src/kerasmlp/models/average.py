"""The averaged weights of an optimizer with `use_ema`, in place of the weights for a while."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf


@contextlib.contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Within the context, let `model` have its averaged weights, as it does at the end of the training.

    The weights are put back by assignment, so that nothing is rounded. (Keras' `SwapEMAWeights` adds and
    subtracts on TensorFlow.) Without `use_ema` nothing changes.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if optimizer is None or not optimizer.use_ema:
        yield
        return
    variables = model.trainable_variables
    weights = [tf.identity(variable.value) for variable in variables]
    optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, weight in zip(variables, weights, strict=True):
            variable.assign(weight)
