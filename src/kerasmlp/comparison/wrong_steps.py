"""The known mistakes in a train step, each as the wrong step that it leads to."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasmlp.comparison.reference import Step, apply_gradients, assign, own_gradients
from kerasmlp.comparison.verdict import State

EPSILONS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
"""Values of an optimizer's epsilon that are tried."""
_Change = tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]]
"""The path of a trainable variable; its value before the step, after the right one, after the loop's."""


def wrong_steps(
    model: keras.Model, before: State, expected: State, received: State, batch_size: int
) -> Iterator[tuple[str, Step]]:
    """Yield each mistake with its step, similar ones together, the most specific ones first.

    The right step goes from `before` to `expected`; that of the loop to `received`.
    """
    trainable = {variable.path for variable in model.trainable_variables}
    changes = [
        (variable.path, old, right, new)
        for variable, old, right, new in zip(model.variables, before, expected, received, strict=False)
        if variable.path in trainable
    ]
    yield from _fixed_mistakes(model, batch_size).items()
    yield from _other_hyper_parameters(model, changes)
    frozen = [
        path
        for path, old, right, new in changes
        if np.array_equal(old, new) and not np.array_equal(old, right)
    ]
    if frozen:
        yield f"these variables are not trained: {', '.join(frozen)}", _without_training(frozen)
    for factor in (0.5, 2.0, 1 / batch_size):
        yield f"the gradients are {factor:g} times the right ones", _with_scaled_gradients(factor)


def _fixed_mistakes(model: keras.Model, batch_size: int) -> dict[str, Step]:
    """Return the mistakes that do not depend on the steps that were taken."""
    scaled = _with_scaled_gradients(batch_size)
    neither = "training=True is missing, and regularisation losses are left out"
    mistakes = {
        "training=True is missing in the call of the model": _with_loss(training=False),
        "regularisation losses are left out": _with_loss(penalties=False),
        neither: _with_loss(training=False, penalties=False),
        "the loss is the sum over the batch, not the mean": _with_loss(factor=batch_size),
        "the loss is the sum over the batch, with regularisation losses": scaled,
        "labels are broadcast: each prediction is compared with every label": _with_loss(_broadcast),
        "softmax is taken twice: from_logits=True on probabilities": _with_loss(_from_logits),
    }
    if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
        mistakes |= {
            "gradients are not unscaled under mixed precision": Step(apply=_apply_without_unscaling),
            "the loss is not scaled under mixed precision, but the gradients are unscaled": Step(
                _gradients_of_unscaled_loss
            ),
        }
    return mistakes | {"each update is applied twice": Step(apply=_apply_twice)}


def _compiled_loss(model: keras.Model, y: Any, y_pred: Any) -> Any:
    """Return the loss that the model was compiled with, without the losses of layers."""
    return keras.losses.get(model.loss)(y, y_pred)


def _broadcast(model: keras.Model, y: Any, y_pred: Any) -> Any:
    count = tf.shape(y)[0]
    predictions = tf.tile(y_pred, [count, *[1] * (len(y_pred.shape) - 1)])
    return _compiled_loss(model, tf.repeat(y, count, axis=0), predictions)


def _from_logits(model: keras.Model, y: Any, y_pred: Any) -> Any:
    loss = keras.losses.get(model.loss)
    loss = type(loss).from_config({**loss.get_config(), "from_logits": True})
    return loss(y, tf.identity(y_pred))  # Keras would find the logits of the original tensor


def _with_loss(
    loss_of: Callable[[keras.Model, Any, Any], Any] = _compiled_loss,
    *,
    training: bool = True,
    penalties: bool = True,
    factor: float = 1,
) -> Step:
    """Return the step with `factor` times the mean of `loss_of(model, y, y_pred)` as the loss.

    With `penalties`, the losses of layers are added.
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

    return Step(gradients)


def _with_scaled_gradients(factor: float) -> Step:
    return Step(lambda *batch: [gradient * factor for gradient in own_gradients(*batch)])


def _gradients_of_unscaled_loss(model: keras.Model, x: Any, y: Any) -> list[Any]:
    return [gradient / model.optimizer.dynamic_scale for gradient in own_gradients(model, x, y)]


def _apply_without_unscaling(model: keras.Model, gradients: list[Any]) -> None:
    model.optimizer.inner_optimizer.apply(gradients, model.trainable_variables)


def _apply_twice(model: keras.Model, gradients: list[Any]) -> None:
    apply_gradients(model, gradients)
    apply_gradients(model, gradients)


def _other_hyper_parameters(
    model: keras.Model, changes: Sequence[_Change]
) -> Iterator[tuple[str, Step]]:
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    for epsilon in EPSILONS:
        if epsilon != getattr(optimizer, "epsilon", epsilon):
            name = f"another epsilon of the optimizer: {epsilon:g}, not {optimizer.epsilon:g}"
            yield name, _with_hyper_parameter(optimizer, "epsilon", epsilon)
    right = float(optimizer.learning_rate)
    ratio = _update_ratio(changes)
    if ratio > 0 and abs(ratio - 1) > 1e-5:
        # The measured rate has rounding errors; a rate that somebody wrote has few digits.
        rate = float(f"{right * ratio:.4g}")
        name = f"another learning rate: {rate:g}, not {right:g}"
        yield name, _with_hyper_parameter(optimizer, "learning_rate", rate)


def _with_hyper_parameter(optimizer: Any, name: str, value: float) -> Step:
    def apply(model: keras.Model, gradients: list[Any]) -> None:
        right = float(getattr(optimizer, name))
        setattr(optimizer, name, value)
        try:
            apply_gradients(model, gradients)
        finally:
            setattr(optimizer, name, right)

    return Step(apply=apply)


def _update_ratio(changes: Sequence[_Change]) -> float:
    """Return the median ratio of the loop's updates to the right ones, over the larger updates.

    NaN if there are none.
    """
    ratios = [np.zeros(0)]
    for _, old, right, new in changes:
        update = right - old
        large = np.abs(update) > 0.5 * np.abs(update).max(initial=0.0)
        ratios.append((new - old)[large].astype(np.float64) / update[large])
    found = np.concatenate(ratios)
    return float(np.median(found)) if found.size else math.nan


def _without_training(frozen: list[str]) -> Step:
    def apply(model: keras.Model, gradients: list[Any]) -> None:
        variables = [variable for variable in model.trainable_variables if variable.path in frozen]
        old = [tf.identity(variable.value) for variable in variables]
        apply_gradients(model, gradients)
        assign(variables, old)

    return Step(apply=apply)
