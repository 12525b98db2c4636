"""A train step as users write it. It runs under `tf.function`."""

import keras
import tensorflow as tf


def train_step(model: keras.Model, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Train `model` on one batch, and return its loss."""
    with tf.GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = model.compute_loss(x, y, y_pred)
    gradients = tape.gradient(loss, model.trainable_variables)
    model.optimizer.apply(gradients, model.trainable_variables)
    return loss
