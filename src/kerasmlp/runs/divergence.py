"""Whether a training has diverged: its loss is then above that of guessing."""

import math
import sys

import keras

from kerasmlp import keras_internals, tensorboard
from kerasmlp.data import unpacked
from kerasmlp.loops import History, TrainingData

USUAL_LEARNING_RATE = 0.001
FAR, FEW_STEPS = 2.0, 100
"""A training of fewer steps may only have been too short, up to this many times the loss of guessing."""


def warn_of_divergence(
    model: keras.Model, train: TrainingData, history: History, learning_rate: float | None = None
) -> None:
    """Print a warning if the loss of the last epoch is above that of guessing.

    Guessing one of n classes has the cross-entropy ln(n). Nothing is said where the loss is another one,
    or has more parts, or the number of classes is not known, or after a few steps.

    Args:
        model: the trained model.
        train: what it was trained on.
        history: what the loop returned.
        learning_rate: the highest one. None for that of the optimizer.
    """
    classes = _classes(model)
    loss = history["loss"][-1] if history.get("loss") else -math.inf
    if classes is None or loss <= (guessing := math.log(classes)):
        return
    if loss <= FAR * guessing and len(history["loss"]) * train.steps_per_epoch < FEW_STEPS:
        return
    if len(unpacked(train.element_spec)) > 2:  # weights of examples, and so of the loss
        return
    rate = _learning_rate(model) if learning_rate is None else learning_rate
    of_rate, smaller = "", "a smaller learning rate"
    if rate is not None:
        of_rate = f", with a learning rate of {rate:g}"
        smaller += f", such as {min(USUAL_LEARNING_RATE, rate / 10):g}"
    said = "has diverged" if loss > FAR * guessing else "has diverged, or learns nothing"
    print(
        f"warning: the training {said}: the loss of the last epoch is {loss:.4g}{of_rate}; guessing one"
        f" of {classes} classes gives {guessing:.4g}; try {smaller}",
        file=sys.stderr,
    )


def _classes(model: keras.Model) -> int | None:
    """Return the number of classes of a model whose loss is a plain cross-entropy. None for others."""
    loss, _ = tensorboard.loss_of(model)
    if not loss.endswith("categoricalcrossentropy") or model.losses:
        return None
    try:
        classes = model.output_shape[-1]
    except (AttributeError, ValueError):  # a model of a class of its own
        classes = getattr(model, "classes", None)
    return classes if isinstance(classes, int) and classes > 1 else None


def _learning_rate(model: keras.Model) -> float | None:
    """Return the learning rate of the optimizer. None if it has none, or one that follows a schedule."""
    if model.optimizer is None or keras_internals.follows_schedule(model.optimizer):
        return None
    return float(model.optimizer.learning_rate)
