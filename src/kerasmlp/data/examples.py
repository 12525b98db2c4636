"""A fixed set of examples, and the model's outputs and gradients on it."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasmlp.data.batches import in_order
from kerasmlp.data.tensors import labels_as_tensor, scale

EXAMPLES_PER_CALL = 5000
"""Number of examples in one call of the model."""


class Examples:
    """Examples, and the model's outputs and gradients on them. They are computed once per step.

    This changes neither the metrics nor the seeds of layers that are random in training.

    Args:
        images: uint8 `[examples, height, width, channels]`.
        labels: integers `[examples]`.
    """

    def __init__(self, images: NDArray[Any], labels: NDArray[Any]) -> None:
        self.images, self.labels = images, labels
        self._step: int | None = None
        self._cache: dict[str, Any] = {}
        self._traced = tf.function(self._differentiate, autograph=False)

    def first(self, count: int) -> "Examples":
        """Return the first `count` examples, or all if there are fewer."""
        return Examples(self.images[:count], self.labels[:count])

    def in_order(self) -> tf.data.Dataset:
        """Return the examples in batches, in their order, for evaluation."""
        return in_order(self.images, self.labels)

    def probabilities(self, model: keras.Model) -> NDArray[np.float32]:
        """Return the model's outputs, `[examples, classes]`."""
        cache = self._cache_of_step(model)
        if "probabilities" not in cache:
            starts = range(0, len(self.images), EXAMPLES_PER_CALL)
            parts = (scale(tf.constant(self.images[i : i + EXAMPLES_PER_CALL])) for i in starts)
            cache["probabilities"] = np.concatenate([model(x, training=False).numpy() for x in parts])
        return cache["probabilities"]

    def gradients(self, model: keras.Model) -> tuple[float, float, list[NDArray[Any]]]:
        """Return the mean loss, the accuracy, and the gradient of each trainable variable."""
        cache = self._cache_of_step(model)
        if "gradients" not in cache:
            loss, accuracy, gradients = self._traced(model)
            arrays = [gradient.numpy() for gradient in gradients]
            cache["gradients"] = float(loss), float(accuracy), arrays
        return cache["gradients"]

    def _cache_of_step(self, model: keras.Model) -> dict[str, Any]:
        """Return the cached results for the step of the model's optimizer. It is empty at a new step."""
        step = int(model.optimizer.iterations)
        if step != self._step:
            self._step, self._cache = step, {}
        return self._cache

    def _differentiate(self, model: keras.Model) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        with tf.init_scope():  # computed once, not at each call
            x, y = scale(tf.constant(self.images)), labels_as_tensor(self.labels)
        with tf.GradientTape() as tape:
            y_pred = model(x, training=False)
            loss = model.compute_loss(x, y, y_pred, training=False)
        variables = [variable.value for variable in model.trainable_variables]
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        accuracy = tf.reduce_mean(keras.metrics.sparse_categorical_accuracy(y, y_pred))
        return loss, accuracy, [tf.convert_to_tensor(gradient) for gradient in gradients]
