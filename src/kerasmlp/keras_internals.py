"""What the package needs of Keras that has no public name. Nothing else uses private names of Keras.

A Keras without these names is refused when this module is imported, and so before anything is trained.
"""

from typing import Any

import keras
import tensorflow as tf

VERSION = "3.15"
"""The Keras that has all of these names; what `pyproject.toml` asks for."""
OF_MODELS = (
    *("_call_has_training_arg", "_compute_loss", "_compute_loss_has_training_arg"),
    *("_distribute_strategy", "_flatten_layers", "_initial_epoch", "_loss_tracker"),
)


def private(of: Any, name: str) -> Any:
    """Return an attribute of an object of Keras. An `ImportError` says which Keras has it."""
    try:
        return getattr(of, name)
    except AttributeError:
        kind = "models" if isinstance(of, keras.Model) else f"objects of {type(of).__name__}"
        raise ImportError(
            f"expected Keras {VERSION}, whose {kind} have `{name}`; received Keras {keras.__version__}:"
            f' pip install "keras=={VERSION}.*"'
        ) from None


def check() -> None:
    """Raise an `ImportError` if the models of this Keras lack one of the names."""
    model = keras.Model(name="model")  # with a name of its own it counts for no other model's
    for name in OF_MODELS:
        private(model, name)


check()


def layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the model and all layers in it, also those within wrappers such as `Bidirectional`."""
    return list(model._flatten_layers())


def loss_tracker(model: keras.Model) -> keras.metrics.Metric:
    """Return the metric in which Keras keeps the mean loss. `model.metrics` may not list it."""
    return model._loss_tracker


def is_built(model: keras.Model) -> bool:
    """Return whether a model has its variables: whether it and all layers in it are built.

    `model.build(shape)` only marks a subclassed model without a `build` of its own as built.
    """
    return all(layer.built for layer in layers(model))


def is_of_a_strategy(model: keras.Model) -> bool:
    """Return whether a model was made under a `tf.distribute` strategy."""
    return model._distribute_strategy is not None


def inputs(model: keras.Model) -> Any:
    """Return the symbolic inputs of a functional model, in their structure."""
    return private(model, "_inputs_struct")


def takes_training(model: keras.Model) -> bool:
    """Return whether Keras calls the model with `training`."""
    return model._call_has_training_arg


def loss(
    model: keras.Model,
    x: Any,
    y: Any = None,
    y_pred: Any = None,
    sample_weight: Any = None,
    training: bool = True,
) -> tf.Tensor:
    """Return the loss of a batch, a scalar: what `model.compute_loss` returns.

    As in Keras, the model's may have been written without the parameter `training`.
    """
    return model._compute_loss(x, y, y_pred, sample_weight, training=training)


def follows_schedule(optimizer: keras.optimizers.Optimizer) -> bool:
    """Return whether the learning rate of an optimizer follows a schedule."""
    schedule = keras.optimizers.schedules.LearningRateSchedule
    return isinstance(getattr(optimizer, "_learning_rate", None), schedule)


def take_initial_epoch(model: keras.Model) -> int | None:
    """Return the epoch that a callback such as `BackupAndRestore` asks to start with, and forget it.

    Keras does not forget it, so that a later `fit` of the model would leave out epochs.
    """
    epoch: int | None = model._initial_epoch
    model._initial_epoch = None
    return epoch


def pass_training_to_compute_loss(model: keras.Model, passed: bool) -> bool:
    """Set whether Keras calls `model.compute_loss` with `training`. Return what was set before."""
    before: bool = model._compute_loss_has_training_arg
    model._compute_loss_has_training_arg = passed
    return before
