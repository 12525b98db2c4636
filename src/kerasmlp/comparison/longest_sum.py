"""The longest sum in a train step, on which the bound on rounding depends."""

import math
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.data import unpacked
from kerasmlp.loops import has_own_step


def longest_sum(model: keras.Model, batch_size: int, batch: Any) -> int:
    """Return a bound on the number of terms of the longest sum in a step.

    A sum goes over the inputs of a unit; or, in the gradient of a kernel, over the examples of a batch
    and the positions (of an image, of a sequence) to which the kernel is applied. So the operations of
    the forward pass are looked at, whatever layers make them. `batch` is the spec of a batch.
    """
    fixed = tf.nest.map_structure(
        lambda spec: tf.TensorSpec([batch_size, *spec.shape[1:]], spec.dtype), batch
    )
    own = has_own_step(model)
    forward = tf.function(
        model.train_step if own else lambda of: model(unpacked(of)[0], training=False), autograph=False
    )
    operations = forward.get_concrete_function(fixed).graph.get_operations()
    kernels = ("MatMul", "Conv", "Einsum", "Gather")
    outputs = [
        output.shape
        for operation in operations
        if any(kernel in operation.type for kernel in kernels)
        for output in operation.outputs
        if output.shape.rank
    ]
    positions = [_product(shape[:-1]) for shape in outputs]
    if any("While" in operation.type for operation in operations):  # a layer over a sequence
        positions += [_product(spec.shape) for spec in tf.nest.flatten(unpacked(fixed)[0])]
    units = [math.prod(weight.shape[:-1]) for weight in model.trainable_variables]
    return max(batch_size, *units, *positions)


def _product(shape: tf.TensorShape) -> int:
    """Return the product of the sizes that are known."""
    return math.prod(size or 1 for size in shape)
