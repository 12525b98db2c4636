"""What the loops need of Keras that has no public name. Nothing else in the loops uses private names."""

from typing import Any

import keras
import tensorflow as tf


def loss_tracker(model: keras.Model) -> keras.metrics.Metric:
    """Return the metric in which Keras keeps the mean loss. `model.metrics` may not list it."""
    return _private(model, "_loss_tracker")


def is_built(model: keras.Model) -> bool:
    """Return whether a model has its variables: whether it and all layers in it are built.

    `model.build(shape)` only marks a subclassed model without a `build` of its own as built.
    """
    return all(layer.built for layer in _private(model, "_flatten_layers")())


def takes_training(model: keras.Model) -> bool:
    """Return whether Keras calls the model with `training`."""
    return _private(model, "_call_has_training_arg")


def training_loss(
    model: keras.Model, x: Any, y: Any = None, y_pred: Any = None, sample_weight: Any = None
) -> tf.Tensor:
    """Return the loss of a batch while training, a scalar: what `model.compute_loss` returns.

    As in Keras, the model's may have been written without the parameter `training`.
    """
    return _private(model, "_compute_loss")(x, y, y_pred, sample_weight, training=True)


def take_initial_epoch(model: keras.Model) -> int | None:
    """Return the epoch that a callback such as `BackupAndRestore` asks to start with, and forget it.

    Keras does not forget it, so that a later `fit` of the model would leave out epochs.
    """
    epoch: int | None = _private(model, "_initial_epoch")
    model._initial_epoch = None
    return epoch


def pass_training_to_compute_loss(model: keras.Model, passed: bool) -> bool:
    """Set whether Keras calls `model.compute_loss` with `training`. Return what was set before."""
    before: bool = _private(model, "_compute_loss_has_training_arg")
    model._compute_loss_has_training_arg = passed
    return before


def _private(model: keras.Model, name: str) -> Any:
    try:
        return getattr(model, name)
    except AttributeError:
        raise RuntimeError(
            f"expected Keras 3.15, whose models have `{name}`; received Keras {keras.__version__}:"
            ' pip install "keras==3.15.*"'
        ) from None
