"""The known mistakes in a train step, each as the wrong step that it leads to."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasmlp.comparison.reference import RIGHT, Step, apply_gradients
from kerasmlp.comparison.verdict import State

EPSILONS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
"""Values of an optimizer's epsilon that are tried."""


def wrong_steps(
    model: keras.Model, before: State, expected: State, received: State, batch_size: int
) -> Iterator[tuple[str, Step]]:
    """Yield each mistake with its step, similar ones together, the most specific ones first.

    Args:
        model: the model of the reference.
        before: the state before the step.
        expected: the state after the right step.
        received: the state after the step of the loop.
        batch_size: examples in the batch.
    """
    yield "training=True is missing in the call of the model", _with_loss(training=False)
    yield "regularisation losses are left out", _with_loss(penalties=False)
    yield (
        "training=True is missing, and regularisation losses are left out",
        _with_loss(training=False, penalties=False),
    )
    yield "the loss is the sum over the batch, not the mean", _with_loss(factor=float(batch_size))
    yield (
        "the loss is the sum over the batch, with regularisation losses",
        _with_scaled_gradients(float(batch_size)),
    )
    yield (
        "labels are broadcast: each prediction is compared with every label",
        _with_loss(_broadcast_loss),
    )
    yield "softmax is taken twice: from_logits=True on probabilities", _with_loss(_loss_from_logits)
    if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
        yield (
            "gradients are not unscaled under mixed precision",
            Step(RIGHT.gradients, _apply_without_unscaling),
        )
        yield (
            "the loss is not scaled under mixed precision, but the gradients are unscaled",
            Step(_gradients_of_unscaled_loss, apply_gradients),
        )
    yield "each update is applied twice", Step(RIGHT.gradients, _apply_twice)
    yield from _other_hyper_parameters(model, before, expected, received)
    frozen = _frozen(model, before, expected, received)
    if frozen:
        yield f"these variables are not trained: {', '.join(frozen)}", _without_training(frozen)
    for factor in (0.5, 2.0, 1 / batch_size):
        yield f"the gradients are {factor:g} times the right ones", _with_scaled_gradients(factor)


def _compiled_loss(model: keras.Model, y: Any, y_pred: Any) -> Any:
    """Return the loss that the model was compiled with, without the losses of layers."""
    return keras.losses.get(model.loss)(y, y_pred)


def _broadcast_loss(model: keras.Model, y: Any, y_pred: Any) -> Any:
    count = tf.shape(y)[0]
    predictions = tf.tile(y_pred, [count, *[1] * (len(y_pred.shape) - 1)])
    return _compiled_loss(model, tf.repeat(y, count, axis=0), predictions)


def _loss_from_logits(model: keras.Model, y: Any, y_pred: Any) -> Any:
    loss = keras.losses.get(model.loss)
    loss = type(loss).from_config({**loss.get_config(), "from_logits": True})
    return loss(y, tf.identity(y_pred))  # Keras would find the logits of the original tensor


def _with_loss(
    loss_of: Callable[[keras.Model, Any, Any], Any] = _compiled_loss,
    *,
    training: bool = True,
    penalties: bool = True,
    factor: float = 1.0,
) -> Step:
    """Return the step with another loss.

    Args:
        loss_of: takes `(model, y, y_pred)`, and returns the losses of the examples or their mean.
        training: whether the model is called with `training=True`.
        penalties: whether the losses of layers are added.
        factor: the mean loss is multiplied by it.
    """

    def gradients(model: keras.Model, x: Any, y: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            y_pred = model(x, training=training)
            loss = keras.ops.mean(loss_of(model, y, y_pred)) * factor
            if penalties and model.losses:
                loss += tf.add_n(
                    [tf.cast(tf.reduce_sum(penalty), loss.dtype) for penalty in model.losses]
                )
            scaled = model.optimizer.scale_loss(loss)
        return tape.gradient(scaled, model.trainable_variables)

    return Step(gradients, apply_gradients)


def _with_scaled_gradients(factor: float) -> Step:
    return Step(
        lambda model, x, y: [gradient * factor for gradient in RIGHT.gradients(model, x, y)],
        apply_gradients,
    )


def _gradients_of_unscaled_loss(model: keras.Model, x: Any, y: Any) -> list[Any]:
    scale = model.optimizer.dynamic_scale
    return [gradient / scale for gradient in RIGHT.gradients(model, x, y)]


def _apply_without_unscaling(model: keras.Model, gradients: list[Any]) -> None:
    model.optimizer.inner_optimizer.apply(gradients, model.trainable_variables)


def _apply_twice(model: keras.Model, gradients: list[Any]) -> None:
    apply_gradients(model, gradients)
    apply_gradients(model, gradients)


def _other_hyper_parameters(
    model: keras.Model, before: State, expected: State, received: State
) -> Iterator[tuple[str, Step]]:
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    for epsilon in EPSILONS:
        if epsilon != getattr(optimizer, "epsilon", epsilon):
            name = f"another epsilon of the optimizer: {epsilon:g}, not {optimizer.epsilon:g}"
            yield name, _with_hyper_parameter(optimizer, "epsilon", epsilon)
    right = float(optimizer.learning_rate)
    ratio = _update_ratio(model, before, expected, received)
    if ratio is not None and ratio > 0 and abs(ratio - 1) > 1e-5:
        # The measured rate has rounding errors; a rate that somebody wrote has few digits.
        rate = float(f"{right * ratio:.4g}")
        name = f"another learning rate: {rate:g}, not {right:g}"
        yield name, _with_hyper_parameter(optimizer, "learning_rate", rate)


def _with_hyper_parameter(optimizer: Any, name: str, value: float) -> Step:
    def apply(model: keras.Model, gradients: list[Any]) -> None:
        with _hyper_parameter(optimizer, name, value):
            apply_gradients(model, gradients)

    return Step(RIGHT.gradients, apply)


@contextlib.contextmanager
def _hyper_parameter(optimizer: Any, name: str, value: float) -> Iterator[None]:
    """A context in which a hyper-parameter of the optimizer has another value."""
    old = getattr(optimizer, name)
    if isinstance(old, keras.Variable):  # it must stay a variable: it is part of the state
        number = float(old)
        old.assign(value)
        try:
            yield
        finally:
            old.assign(number)
    else:
        setattr(optimizer, name, value)
        try:
            yield
        finally:
            setattr(optimizer, name, old)


def _update_ratio(model: keras.Model, before: State, expected: State, received: State) -> float | None:
    """Return the median ratio of the loop's updates to the right ones, over the larger updates."""
    ratios = []
    for index, variable in enumerate(model.variables):
        if any(variable is trained for trained in model.trainable_variables):
            right, of_loop = expected[index] - before[index], received[index] - before[index]
            large = np.abs(right) > 0.5 * np.abs(right).max(initial=0.0)
            ratios.append(of_loop[large].astype(np.float64) / right[large])
    flat = np.concatenate(ratios) if ratios else np.zeros(0)
    return float(np.median(flat)) if flat.size else None


def _frozen(model: keras.Model, before: State, expected: State, received: State) -> list[str]:
    """Return the paths of trainable variables that the loop did not change, but the right step did."""
    trainable = {variable.path for variable in model.trainable_variables}
    return [
        variable.path
        for variable, old, right, new in zip(model.variables, before, expected, received, strict=False)
        if variable.path in trainable and np.array_equal(old, new) and not np.array_equal(old, right)
    ]


def _without_training(frozen: list[str]) -> Step:
    def apply(model: keras.Model, gradients: list[Any]) -> None:
        old = {variable.path: tf.identity(variable.value) for variable in model.trainable_variables}
        apply_gradients(model, gradients)
        for variable in model.trainable_variables:
            if variable.path in frozen:
                variable.assign(old[variable.path])

    return Step(RIGHT.gradients, apply)
