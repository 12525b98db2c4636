"""Examples that stay the same while a model is trained, and what it makes of them."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasmlp.data.batches import in_order
from kerasmlp.data.tensors import scale

AT_ONCE = 5000
"""Examples that go through the model at once."""


class Examples:
    """Examples, and what the model makes of them, computed at most once a step of its optimizer.

    Nothing of the training is touched: no metric, no seed of a layer that is random while it trains.

    Args:
        images: uint8 `[examples, height, width, channels]`.
        labels: integers `[examples]`.
    """

    def __init__(self, images: NDArray[Any], labels: NDArray[Any]) -> None:
        self.images = images
        self.labels = labels
        self._step: int | None = None
        self._known: dict[str, Any] = {}
        self._differentiate: Any = None

    def first(self, count: int) -> "Examples":
        """Return the first of them, at most `count`."""
        return Examples(self.images[:count], self.labels[:count])

    def in_order(self) -> tf.data.Dataset:
        """Return them in batches, in their order, for evaluation."""
        return in_order(self.images, self.labels)

    def probabilities(self, model: keras.Model) -> NDArray[np.float32]:
        """Return the model's outputs, `[examples, classes]`."""
        known = self._known_at(model)
        if "probabilities" not in known:
            slices = range(0, len(self.images), AT_ONCE)
            parts = (scale(tf.constant(self.images[first : first + AT_ONCE])) for first in slices)
            outputs = [model(part, training=False).numpy() for part in parts]
            known["probabilities"] = np.concatenate(outputs)
        return known["probabilities"]

    def gradients(self, model: keras.Model) -> tuple[float, float, list[NDArray[Any]]]:
        """Return the mean loss, the accuracy, and the gradients of the loss by trainable variable."""
        known = self._known_at(model)
        if "gradients" not in known:
            if self._differentiate is None:
                self._differentiate = self._traced(model)
            loss, accuracy, gradients = self._differentiate()
            parts = float(loss), float(accuracy), [gradient.numpy() for gradient in gradients]
            known["gradients"] = parts
        return known["gradients"]

    def _known_at(self, model: keras.Model) -> dict[str, Any]:
        """Return what is known of the model at its step."""
        step = int(model.optimizer.iterations)
        if step != self._step:
            self._step, self._known = step, {}
        return self._known

    def _traced(self, model: keras.Model) -> Any:
        x, y = scale(tf.constant(self.images)), tf.constant(self.labels.astype(np.int32))

        def differentiate() -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
            with tf.GradientTape() as tape:
                y_pred = model(x, training=False)
                loss = model.compute_loss(x, y, y_pred, training=False)
            variables = model.trainable_variables
            gradients = [
                tf.zeros(variable.shape) if gradient is None else tf.convert_to_tensor(gradient)
                for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True)
            ]
            accuracy = tf.reduce_mean(keras.metrics.sparse_categorical_accuracy(y, y_pred))
            return loss, accuracy, gradients

        return tf.function(differentiate, autograph=False)
