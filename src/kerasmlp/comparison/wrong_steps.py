"""The known mistakes in a train step, each as the wrong step that it leads to."""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasmlp.comparison.reference import (
    RIGHT,
    Batch,
    Step,
    apply_gradients,
    assign,
    dense,
    own_gradients,
)
from kerasmlp.comparison.verdict import State

EPSILONS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
"""Values of an optimizer's epsilon that are tried."""
_Change = tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]]
"""The path of a trainable variable; its value before the step, after the right one, after the loop's."""


@dataclasses.dataclass(frozen=True)
class WrongStep:
    """A mistake, and the step that it leads to, or the batches (None for the right ones).

    Mistakes of one kind are variants of each other. Of several that explain a step, the first is named.
    """

    kind: str
    name: str
    step: Step = RIGHT
    batches: Sequence[Batch] | None = None


def wrong_steps(
    model: keras.Model, before: State, expected: State, received: State, batches: Sequence[Batch]
) -> Iterator[WrongStep]:
    """Yield each mistake, the more specific ones of a kind first.

    The right step goes from `before` to `expected`; that of the loop to `received`.
    """
    batch_size = tf.nest.flatten(batches[0][1])[0].shape[0]
    trainable = {variable.path for variable in model.trainable_variables}
    changes = [
        (variable.path, old, right, new)
        for variable, old, right, new in zip(model.variables, before, expected, received, strict=False)
        if variable.path in trainable
    ]
    yield from _wrong_forward_passes()
    yield from _wrong_losses(batch_size)
    if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
        kind = "loss scale"
        name = "gradients are not unscaled under mixed precision"
        yield WrongStep(kind, name, Step(apply=_apply_without_unscaling))
        name = "the loss is not scaled under mixed precision, but the gradients are unscaled"
        yield WrongStep(kind, name, Step(_gradients_of_unscaled_loss))
    yield WrongStep("update", "each update is applied twice", Step(apply=_apply_twice))
    yield WrongStep("batches", "the batch is used twice", batches=2 * list(batches))
    yield from _other_hyper_parameters(model, changes)
    frozen = [
        path
        for path, old, right, new in changes
        if np.array_equal(old, new) and not np.array_equal(old, right)
    ]
    if frozen:
        name = f"these variables are not trained: {', '.join(frozen)}"
        yield WrongStep("frozen", name, _without_training(frozen))
    for factor in (0.5, 2.0, 1 / batch_size, batch_size):
        name = f"the gradients are {factor:g} times the right ones"
        yield WrongStep("factor", name, _with_scaled_gradients(factor))


def _wrong_forward_passes() -> Iterator[WrongStep]:
    no_flag = "training=True is missing in the call of the model"
    yield WrongStep("training", no_flag, _with_loss(training=False))
    yield WrongStep("penalties", "regularisation losses are left out", _with_loss(penalties=False))
    neither = "training=True is missing, and regularisation losses are left out"
    yield WrongStep("training and penalties", neither, _with_loss(training=False, penalties=False))


def _wrong_losses(batch_size: int) -> Iterator[WrongStep]:
    summed = "the loss is the sum over the batch, not the mean"
    yield WrongStep("sum", summed, _with_loss(factor=batch_size))
    summed = "the loss is the sum over the batch, with regularisation losses"
    yield WrongStep("sum", summed, _with_scaled_gradients(batch_size))
    broadcast = "labels are broadcast: each prediction is compared with every label"
    yield WrongStep("broadcast", broadcast, _with_loss(_broadcast))
    twice = "softmax is taken twice: from_logits=True on probabilities"
    yield WrongStep("logits", twice, _with_loss(functools.partial(_with_logits, from_logits=True)))
    never = "logits are taken for probabilities: from_logits=True is missing"
    yield WrongStep("logits", never, _with_loss(functools.partial(_with_logits, from_logits=False)))


class _WithoutPenalties:
    """A model whose layers add no losses. All else is that of the model."""

    losses: tuple[Any, ...] = ()

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _data_loss(model: keras.Model, y: Any, y_pred: Any) -> Any:
    """Return the loss of the model, as Keras computes it, without the losses of layers."""
    compute_loss = type(model).compute_loss
    return compute_loss(_WithoutPenalties(model), None, y, y_pred, None, training=True)


def _broadcast(model: keras.Model, y: Any, y_pred: Any) -> Any:
    count = tf.shape(y)[0]
    predictions = tf.tile(y_pred, [count, *[1] * (len(y_pred.shape) - 1)])
    return _data_loss(model, tf.repeat(y, count, axis=0), predictions)


def _with_logits(model: keras.Model, y: Any, y_pred: Any, *, from_logits: bool) -> Any:
    loss = keras.losses.get(model.loss)
    if isinstance(loss, keras.losses.Loss):
        if loss.get_config()["from_logits"] == from_logits:
            raise ValueError("the loss of the model is this one")
        loss = type(loss).from_config({**loss.get_config(), "from_logits": from_logits})
    elif from_logits and "from_logits" in inspect.signature(loss).parameters:
        loss = functools.partial(loss, from_logits=True)  # the functions take probabilities by default
    else:
        raise ValueError("the loss of the model has no logits")
    return keras.ops.mean(loss(y, tf.identity(y_pred)))  # Keras finds the logits of the original tensor


def _with_loss(
    loss_of: Callable[[keras.Model, Any, Any], Any] = _data_loss,
    *,
    training: bool = True,
    penalties: bool = True,
    factor: float = 1,
) -> Step:
    """Return the step with `factor` times `loss_of(model, y, y_pred)` as the loss.

    With `penalties`, the losses of layers are added.
    """

    def gradients(model: keras.Model, x: Any, y: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            y_pred = model(x, training=training)
            loss = loss_of(model, y, y_pred) * factor
            if penalties and model.losses:
                loss += tf.add_n(
                    [tf.cast(tf.reduce_sum(penalty), loss.dtype) for penalty in model.losses]
                )
            scaled = model.optimizer.scale_loss(loss)
        return tape.gradient(scaled, model.trainable_variables)

    return Step(gradients)


def _with_scaled_gradients(factor: float) -> Step:
    return Step(lambda *batch: [gradient * factor for gradient in dense(own_gradients(*batch))])


def _gradients_of_unscaled_loss(model: keras.Model, x: Any, y: Any) -> list[Any]:
    return [each / model.optimizer.dynamic_scale for each in dense(own_gradients(model, x, y))]


def _apply_without_unscaling(model: keras.Model, gradients: list[Any]) -> None:
    model.optimizer.inner_optimizer.apply(gradients, model.trainable_variables)


def _apply_twice(model: keras.Model, gradients: list[Any]) -> None:
    apply_gradients(model, gradients)
    apply_gradients(model, gradients)


def _other_hyper_parameters(model: keras.Model, changes: Sequence[_Change]) -> Iterator[WrongStep]:
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    for epsilon in EPSILONS:
        if epsilon != getattr(optimizer, "epsilon", epsilon):
            name = f"another epsilon of the optimizer: {epsilon:g}, not {optimizer.epsilon:g}"
            yield WrongStep("epsilon", name, _with_hyper_parameter(optimizer, "epsilon", epsilon))
    right = float(optimizer.learning_rate)
    ratio = _update_ratio(changes)
    if ratio > 0 and abs(ratio - 1) > 1e-5:
        # The measured rate has rounding errors; a rate that somebody wrote has few digits.
        rate = float(f"{right * ratio:.4g}")
        name = f"another learning rate: {rate:g}, not {right:g}"
        step = _with_hyper_parameter(optimizer, "learning_rate", rate)
        yield WrongStep("learning rate", name, step)


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
