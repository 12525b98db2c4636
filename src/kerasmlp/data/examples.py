"""A fixed set of examples; a model's predictions, metrics and gradients on it."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasmlp import keras_internals
from kerasmlp.data.batches import EVALUATION_BATCH_SIZE, Batches


class Examples:
    """Examples, and what a compiled model computes on them, once at each step; `at` sets the step.

    The model is called as in an evaluation. It stays as it is: metrics, seeds, and the statistics of
    layers such as `BatchNormalization` do not change.

    Args:
        x: arrays `[examples, ...]` in any structure: an array, or a dict, list or tuple of them.
        y: targets `[examples, ...]` in any structure, or None.
        sample_weight: weights `[examples, ...]` in any structure, or None.
        are_images: whether bytes in `x` are pixels, see `Batches`.
        batch_size: the number of examples in one call of the model.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        are_images: bool = False,
        batch_size: int = EVALUATION_BATCH_SIZE,
    ) -> None:
        self.x, self.y, self.sample_weight = x, y, sample_weight
        self.are_images, self.batch_size = are_images, batch_size
        self._dataset: tf.data.Dataset | None = None
        self._step = 0
        self._cache: dict[str, Any] = {}
        self._traced: dict[Any, Any] = {}

    @classmethod
    def of(cls, dataset: tf.data.Dataset, count: int) -> "Examples":
        """Return the first batches of `dataset`, which have `count` examples, or all if it has fewer.

        The batches become arrays. Where they cannot (they are ragged or sparse, or their shapes differ),
        they stay batches, and `x`, `y` and `sample_weight` are None.

        Raises:
            ValueError: the dataset has no batch.
        """
        batches, found = [], 0
        for batch in dataset:
            batches.append(batch)
            found += int(tf.nest.flatten(batch)[0].shape[0])
            if found >= count:
                break
        if not batches:
            raise ValueError("the dataset: expected at least one batch; received none")
        size = -(-found // len(batches))
        if not _can_be_joined(batches):
            examples = cls(None, batch_size=size)
            examples._dataset = dataset.take(len(batches)).cache()
            return examples
        arrays = tf.nest.map_structure(lambda *parts: np.concatenate(parts), *batches)
        return cls(*_parts(arrays), batch_size=size).first(count)

    def __len__(self) -> int:
        """Return the number of examples; for batches that stay batches, the number of batches."""
        return len(tf.nest.flatten(self.x)[0]) if self._dataset is None else len(self._batches)

    def at(self, step: int) -> Self:
        """Return these examples, for a training step. What was computed at another step is forgotten."""
        if step != self._step:
            self._step, self._cache = step, {}
        return self

    def first(self, count: int) -> "Examples":
        """Return the first `count` examples, or all if there are fewer. Batches stay as they are."""
        if self._dataset is not None:
            return self
        parts = (
            tf.nest.map_structure(lambda array: None if array is None else array[:count], part)
            for part in (self.x, self.y, self.sample_weight)
        )
        return Examples(*parts, are_images=self.are_images, batch_size=self.batch_size)

    def in_order(self) -> tf.data.Dataset:
        """Return the examples in batches, in their order, for evaluation."""
        if self._dataset is not None:
            return self._dataset
        return self._in_order.epoch(0, parallel=False)

    @functools.cached_property
    def _in_order(self) -> Batches:
        return Batches(
            self.x,
            self.y,
            self.batch_size,
            sampling="in order",
            sample_weight=self.sample_weight,
            are_images=self.are_images,
        )

    def _read(self) -> Iterator[Any]:
        """Read the batches one by one. For so few, a pipeline would take more time than the model."""
        if self._dataset is not None:
            yield from self._dataset
            return
        for step in range(len(self._in_order)):
            yield self._in_order.batch(step)

    def predictions(self, model: keras.Model, limit: float = math.inf) -> Any:
        """Return the model's outputs: arrays `[examples, ...]` in the structure of the outputs.

        Raises:
            MemoryError: they have more than `limit` bytes.
        """

        def compute() -> Any:
            arrays: list[Any] = []
            for batch in self._read():
                outputs = self._call(_forward, model, _parts(batch)[0])
                arrays.append(tf.nest.map_structure(np.asarray, outputs))
                size = sum(array.nbytes for array in tf.nest.flatten(arrays[0]))
                if size * math.ceil(len(self) / self.batch_size) > limit:
                    raise MemoryError(f"expected predictions of at most {limit:,} bytes")
            return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *arrays)

        return self._once("predictions", compute)

    def metrics(self, model: keras.Model) -> dict[str, float]:
        """Return what `model.evaluate` returns, as far as it is a number.

        The model must have been trained or evaluated before, which makes its metrics.
        """

        def compute() -> dict[str, float]:
            with keras.StatelessScope() as scope:
                model.reset_metrics()
            values = _metric_values(model, scope)
            for batch in self._batches:
                logs, values = self._call(_measure, model, batch, values)
            return {name: float(value) for name, value in logs.items() if not np.ndim(value)}

        return self._once("metrics", compute)

    def gradients(self, model: keras.Model) -> tuple[float, list[NDArray[Any]]]:
        """Return the loss, and its gradients by the trainable variables: zeros for those not in use.

        Of several batches, they are the means, weighted by the number of examples.
        """

        def compute() -> tuple[float, list[NDArray[Any]]]:
            sizes = [int(tf.nest.flatten(_parts(batch)[0])[0].shape[0]) for batch in self._batches]
            loss, gradients = 0.0, [0.0] * len(model.trainable_variables)
            for size, batch in zip(sizes, self._batches, strict=True):
                share = size / sum(sizes)
                of_batch, by_variable = self._call(_differentiate, model, batch)
                loss += share * float(of_batch)
                gradients = [
                    total + np.asarray(gradient) * np.asarray(share, gradient.dtype.as_numpy_dtype)
                    for total, gradient in zip(gradients, by_variable, strict=True)
                ]
            return loss, [np.asarray(gradient) for gradient in gradients]

        return self._once("gradients", compute)

    @functools.cached_property
    def _batches(self) -> list[Any]:
        return list(self._read())

    def _call(self, function: Callable[..., Any], model: keras.Model, *arguments: Any) -> Any:
        if model.run_eagerly:
            return function(model, *arguments)
        if function not in self._traced:
            # A partial, so that TensorFlow does not count the traces of other examples as its own.
            self._traced[function] = tf.function(functools.partial(function), autograph=False)
        return self._traced[function](model, *arguments)

    def _once(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return what `compute` returns, computed once at a step."""
        if name not in self._cache:
            self._cache[name] = compute()
        return self._cache[name]


def _can_be_joined(batches: list[Any]) -> bool:
    """Return whether all parts are dense, and have the same shapes but for the number of examples."""
    flat = [tf.nest.flatten(batch) for batch in batches]
    if not all(isinstance(part, tf.Tensor) and part.shape.rank for parts in flat for part in parts):
        return False
    return len({tuple(tuple(part.shape[1:]) for part in parts) for parts in flat}) == 1


def _parts(batch: Any) -> tuple[Any, Any, Any]:
    return keras.utils.unpack_x_y_sample_weight(batch)


def _predict(model: keras.Model, x: Any) -> Any:
    """Call `model` as `Model.test_step` does."""
    return model(x, training=False) if keras_internals.takes_training(model) else model(x)


def _forward(model: keras.Model, x: Any) -> Any:
    with keras.StatelessScope():
        return _predict(model, x)


def _metric_values(model: keras.Model, scope: keras.StatelessScope) -> list[tf.Tensor]:
    values = ((variable, scope.get_current_value(variable)) for variable in model.metrics_variables)
    return [variable.value if value is None else value for variable, value in values]


def _weights(model: keras.Model) -> list[tf.Tensor]:
    return [tf.convert_to_tensor(variable.value) for variable in model.trainable_variables]


def _measure(model: keras.Model, batch: Any, values: list[Any]) -> tuple[Any, list[tf.Tensor]]:
    """Return the metrics after `batch`, if their variables have `values` before; and those after it."""
    # The penalties of a stateless scope are those of weights that it maps.
    mapping = [
        *zip(model.trainable_variables, _weights(model), strict=True),
        *zip(model.metrics_variables, values, strict=True),
    ]
    with keras.StatelessScope(mapping, collect_losses=True) as scope:
        logs = model.test_step(batch)
    return logs, _metric_values(model, scope)


def _differentiate(model: keras.Model, batch: Any) -> tuple[tf.Tensor, list[tf.Tensor]]:
    x, y, sample_weight = _parts(batch)
    weights = _weights(model)
    mapping = zip(model.trainable_variables, weights, strict=True)
    with tf.GradientTape() as tape, keras.StatelessScope(mapping, collect_losses=True):
        tape.watch(weights)
        y_pred = _predict(model, x)
        loss = keras_internals.loss(model, x, y, y_pred, sample_weight, training=False)
    gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
    return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]
