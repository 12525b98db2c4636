"""The train step that the replicas of a `tf.distribute` strategy share.

Each replica computes the gradients of its slice of the batch. Their sum is, apart from rounding, what
one device would compute. Each process applies that sum to its own plain Keras model. So model, optimizer
and metrics are equal in all processes after each step, and callbacks, checkpoints and evaluation need
not know about replicas.

Keras' `fit` calls the step as a custom `train_step`. Keras cannot train a model that was made under
MultiWorkerMirroredStrategy (keras-team/keras#20585); here no model is made under a strategy.
"""

import contextlib
import functools
import inspect
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasmlp import keras_internals, loops
from kerasmlp.loops import Logs, TrainStep


def distributed(strategy: tf.distribute.Strategy, batch_size: int) -> TrainStep:
    """Return `loops.train_step`, shared by all replicas, for batches of at most `batch_size`."""

    def train_step(model: keras.Model, x: Any, y: Any, sample_weight: Any = None) -> Logs:
        part = functools.partial(_part, model, batch_size, x, y, sample_weight)
        with strategy.scope():  # fit calls this step outside of any scope
            total = strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(part), axis=None)
        inputs = tf.nest.map_structure(lambda part: keras.KerasTensor(part.shape, part.dtype), x)
        output = model.compute_output_spec(inputs)
        variables = [tuple(variable.shape) for variable in model.trainable_variables]
        y_pred, *gradients = unpacked(total, [(batch_size, *output.shape[1:]), *variables])
        y_pred = tf.cast(y_pred[: tf.shape(tf.nest.flatten(x)[0])[0]], output.dtype)
        loss = keras_internals.loss(model, x, y, y_pred, sample_weight)
        model.optimizer.apply(gradients, model.trainable_variables)
        return loops.update_metrics(model, loss, x, y, y_pred, sample_weight)

    return train_step


@contextlib.contextmanager
def as_train_step(model: keras.Model, step: TrainStep) -> Iterator[None]:
    """Let Keras' own `fit` take `step` as the `train_step` of the model."""

    def train_step(data: Any) -> Logs:
        return step(model, *keras.utils.unpack_x_y_sample_weight(data))

    model.train_step = train_step
    try:
        yield
    finally:
        del model.train_step
        model.train_function = None


def check(model: keras.Model) -> None:
    """Check that the forward pass of `model` changes no variable.

    Raises:
        ValueError: it does.
    """
    if model.non_trainable_variables:
        raise ValueError(
            "a strategy expects a model whose forward pass changes no variable; received a model with"
            f" {model.non_trainable_variables[0].path}, whose value would depend on the slices"
        )


def _part(model: keras.Model, batch_size: int, x: Any, y: Any, sample_weight: Any) -> tf.Tensor:
    """Return the predictions and the gradients of this replica for its slice of a batch, packed.

    Replica r of n takes the examples from r/n to (r + 1)/n of the batch. The slices differ by at most
    one example, and may be empty. The result always has one size, as an exchange in a loop requires.
    """
    context = tf.distribute.get_replica_context()
    replica, replicas = tf.cast(context.replica_id_in_sync_group, tf.int32), context.num_replicas_in_sync
    examples = tf.shape(tf.nest.flatten(x)[0])[0]
    begin, end = examples * replica // replicas, examples * (replica + 1) // replicas
    # An empty slice takes one other example, times 0: the mean of nothing is not a number.
    taken = slice(begin, tf.maximum(end, begin + 1))
    x, y = tf.nest.map_structure(lambda each: each[taken], (x, y))
    sample_weight = None if sample_weight is None else sample_weight[taken]
    # The method of the class: a callback may have replaced the model's, to hear the loss of the batch.
    compute_loss = functools.partial(type(model).compute_loss, model)
    if "training" in inspect.signature(compute_loss).parameters:
        compute_loss = functools.partial(compute_loss, training=True)
    _, y_pred, gradients = loops.compute_gradients(model, x, y, sample_weight, compute_loss)
    if not tf.is_tensor(y_pred):
        raise ValueError(f"a strategy expects a model with one output; received {type(y_pred)}")
    # Keras divides a loss by the number of replicas, as if all slices had the same size.
    share = tf.cast((end - begin) * replicas, tf.float32) / tf.cast(examples, tf.float32)
    around = [[begin, batch_size - end], *([0, 0] for _ in y_pred.shape[1:])]
    predictions = tf.pad(tf.cast(y_pred[: end - begin], tf.float32), around)
    scaled = [
        tf.zeros(variable.shape) if gradient is None else tf.convert_to_tensor(gradient) * share
        for gradient, variable in zip(gradients, model.trainable_variables, strict=True)
    ]
    # One message: a message costs more than its bytes.
    return packed([predictions, *scaled])


def packed(tensors: Sequence[Any]) -> tf.Tensor:
    """Return the values of tensors or variables of one type, one after the other: `[values]`."""
    return tf.concat([tf.reshape(tf.convert_to_tensor(each), [-1]) for each in tensors], axis=0)


def unpacked(flat: tf.Tensor, shapes: Sequence[Any]) -> list[tf.Tensor]:
    """Return tensors of these shapes, one after the other from `flat`."""
    parts = tf.split(flat, [math.prod(shape) for shape in shapes])
    return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
