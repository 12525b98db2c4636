"""The train step: forward pass, loss, gradients, update, metrics. Written once, for all loops."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kerasmlp import keras_internals
from kerasmlp.data import unpacked
from kerasmlp.keras_internals import loss_tracker, takes_training

Logs = dict[str, Any]
"""Metrics by name."""
TrainStep = Callable[..., Any]
"""Takes the model, x, y and optionally sample weights. Trains on the batch and updates the metrics.

If it returns a dict, as Keras' `train_step` does, that is what callbacks hear; otherwise they hear the
metrics of the model.
"""

Note = Callable[[], None]
"""To be called by what traces a train step: keeps its graph."""


def batch_length(batch: Any) -> int:
    """Return the number of examples in a batch of a dataset."""
    return int(_examples(unpacked(batch)[0]))


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
    those of the scaled loss, as the optimizer expects them. `compute_loss` takes x, y, predictions and
    sample weights; by default it is the model's.
    """
    model_loss = functools.partial(keras_internals.loss, model)
    with tf.GradientTape() as tape:
        y_pred = model(x, training=True) if takes_training(model) else model(x)
        loss = (compute_loss or model_loss)(x, y, y_pred, sample_weight)
        scaled_loss = loss if model.optimizer is None else model.optimizer.scale_loss(loss)
    return loss, y_pred, tape.gradient(scaled_loss, model.trainable_variables)


def train_step(model: keras.Model, x: Any, y: Any = None, sample_weight: Any = None) -> Logs:
    """Train `model` on one batch, as in the handbook. Return the metrics, as Keras' `train_step` does.

    If the class of the model has a `train_step` of its own, take that, as `fit` does, and return what it
    returns.
    """
    if has_own_step(model):
        return model.train_step(keras.utils.pack_x_y_sample_weight(x, y, sample_weight))
    loss, y_pred, gradients = compute_gradients(model, x, y, sample_weight)
    if model.trainable_variables:
        model.optimizer.apply(gradients, model.trainable_variables)
    else:
        warnings.warn("The model does not have any trainable weights.", stacklevel=2)
    with tf.name_scope("metrics"):
        return update_metrics(model, loss, x, y, y_pred, sample_weight)


def take(step: TrainStep, model: keras.Model, batch: Any) -> Any:
    """Take `step` on a batch of a dataset. A `train_step` of the class gets the batch as it is."""
    if step is train_step and has_own_step(model):
        return model.train_step(batch)
    return step(model, *unpacked(batch))


def logs_after(model: keras.Model, returned: Any) -> Logs:
    """Return what callbacks hear after a step that has `returned` that."""
    return returned if isinstance(returned, dict) else model.get_metrics_result()


def update_metrics(
    model: keras.Model,
    loss: tf.Tensor,
    x: Any,
    y: Any = None,
    y_pred: Any = None,
    sample_weight: Any = None,
) -> Logs:
    """Add a batch to the compiled metrics and the mean loss of `model`. Return the metrics by name."""
    # The loss of an epoch is the mean over its examples: a smaller last batch weighs less.
    loss_tracker(model).update_state(loss, sample_weight=_examples(x))
    return model.compute_metrics(x, y, y_pred, sample_weight)


def _examples(x: Any) -> tf.Tensor:
    """Return the number of examples. Optional inputs of a model may be None."""
    return tf.shape(next(part for part in tf.nest.flatten(x) if part is not None))[0]
