"""A training loop as most guides write it: with an optimizer, a loss and a metric of its own.

`forgetful` is the same loop with a mistake: it leaves out the regularisation losses of the layers.
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def train(
    model: keras.Model,
    train: Any,
    validation: tf.data.Dataset | None,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
    *,
    regularised: bool = True,
) -> dict[str, list[float]]:
    """Train `model`, and return its accuracy in each epoch."""
    optimizer = keras.optimizers.Adam(0.001)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy()

    @tf.function
    def train_step(x: tf.Tensor, y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_fn(y, logits)
            if regularised:
                loss += sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        accuracy.update_state(y, logits)

    history: dict[str, list[float]] = {"accuracy": []}
    for _ in range(epochs):
        accuracy.reset_state()
        for x, y in train:
            train_step(x, y)
        history["accuracy"].append(float(accuracy.result()))
    return history


forgetful = functools.partial(train, regularised=False)
