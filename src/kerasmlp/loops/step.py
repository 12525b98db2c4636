"""The train step: forward pass, loss, gradients, update, metrics. Written once, for all loops."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def parts(batch: Any) -> tuple[Any, ...]:
    """Return the parts of a batch of a dataset: x, or x and y, or x, y and sample weights."""
    return tuple(part for part in keras.utils.unpack_x_y_sample_weight(batch) if part is not None)


def batch_length(batch: Any) -> int:
    """Return the number of examples in a batch of a dataset."""
    return int(tf.shape(tf.nest.flatten(parts(batch)[0])[0])[0])


def has_own_step(model: keras.Model) -> bool:
    """Return whether the class of `model` has a `train_step` of its own, which `fit` takes."""
    return type(model).train_step is not keras.Model.train_step


def compute_gradients(
    model: keras.Model,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    compute_loss: Callable[..., tf.Tensor] | None = None,
) -> tuple[tf.Tensor, Any, list[tf.Tensor]]:
    """Return the loss of a batch, the predictions, and the gradients by the trainable variables.

    The loss includes what layers add, such as regularisation. With mixed precision the gradients are
    those of the scaled loss, as the optimizer expects them. `compute_loss` is by default the model's.
    """
    compute_loss = compute_loss or model.compute_loss
    with tf.GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = compute_loss(x, y, y_pred, sample_weight, training=True)
        scaled_loss = model.optimizer.scale_loss(loss)
    return loss, y_pred, tape.gradient(scaled_loss, model.trainable_variables)


def train_step(model: keras.Model, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Train `model` on one batch, as in the handbook. Return the loss of the batch, a scalar.

    If the class of the model has a `train_step` of its own, take that, as `fit` does, and return what it
    returns.
    """
    if has_own_step(model):
        return model.train_step(keras.utils.pack_x_y_sample_weight(x, y, sample_weight))
    loss, y_pred, gradients = compute_gradients(model, x, y, sample_weight)
    model.optimizer.apply(gradients, model.trainable_variables)
    update_metrics(model, loss, x, y, y_pred, sample_weight)
    return loss


def update_metrics(
    model: keras.Model,
    loss: tf.Tensor,
    x: Any,
    y: Any = None,
    y_pred: Any = None,
    sample_weight: Any = None,
) -> None:
    """Add a batch to the compiled metrics and to the mean loss of `model`."""
    # The loss of an epoch is the mean over its examples: a smaller last batch weighs less.
    batch_size = tf.shape(tf.nest.flatten(x)[0])[0]
    for metric in model.metrics:
        if metric.name == "loss":
            metric.update_state(loss, sample_weight=batch_size)
    model.compute_metrics(x, y, y_pred, sample_weight)
