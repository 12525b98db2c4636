"""The train step: forward pass, loss, gradients, update, metrics. Written once, for all loops."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def compute_gradients(
    model: keras.Model,
    x: Any,
    y: Any,
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


def train_step(model: keras.Model, x: Any, y: Any, sample_weight: Any = None) -> tf.Tensor:
    """Train `model` on one batch, as in the handbook. Return the loss of the batch, a scalar."""
    loss, y_pred, gradients = compute_gradients(model, x, y, sample_weight)
    model.optimizer.apply(gradients, model.trainable_variables)
    update_metrics(model, loss, x, y, y_pred, sample_weight)
    return loss


def update_metrics(
    model: keras.Model, loss: tf.Tensor, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
) -> None:
    """Add a batch to the compiled metrics and to the mean loss of `model`."""
    # The loss of an epoch is the mean over its examples: a smaller last batch weighs less.
    batch_size = tf.shape(tf.nest.flatten(x)[0])[0]
    for metric in model.metrics:
        if metric.name == "loss":
            metric.update_state(loss, sample_weight=batch_size)
    model.compute_metrics(x, y, y_pred, sample_weight)
