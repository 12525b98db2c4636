"""The known mistakes in the loss, each as the wrong step that it leads to."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.comparison.reference import Batch, Step, dense, own_gradients
from kerasmlp.comparison.wrong_steps import Evidence, WrongStep

LossOf = Callable[[keras.Model, Any, Any, Any], Any]
"""Takes the model, y, the predictions and the sample weights; returns the loss without penalties."""


def with_other_losses(evidence: Evidence) -> Iterator[WrongStep]:
    """Yield mistakes in the call of the model, and in what its loss is."""
    model, batch_size = evidence.model, evidence.batch_size
    yield WrongStep(
        "training", "training=True is missing in the call of the model", _with_loss(training=False)
    )
    yield WrongStep("penalties", "regularisation losses are left out", _with_loss(penalties=False))
    neither = "training=True is missing, and regularisation losses are left out"
    yield WrongStep("training and penalties", neither, _with_loss(training=False, penalties=False))
    summed = "the loss is the sum over the batch, not the mean"
    yield WrongStep("sum", summed, _with_loss(factor=batch_size))
    summed = "the loss is the sum over the batch, with regularisation losses"
    scaled = Step(lambda *of: [gradient * batch_size for gradient in dense(own_gradients(*of))])
    yield WrongStep("sum", summed, scaled)
    broadcast = "labels are broadcast: each prediction is compared with every label"
    yield WrongStep("broadcast", broadcast, _with_loss(_broadcast))
    twice = "softmax is taken twice: from_logits=True on probabilities"
    yield WrongStep("logits", twice, _with_loss(_with_option(from_logits=True)))
    never = "logits are taken for probabilities: from_logits=True is missing"
    yield WrongStep("logits", never, _with_loss(_with_option(from_logits=False)))
    yield WrongStep(
        "smoothing", "label smoothing is left out", _with_loss(_with_option(label_smoothing=0.0))
    )
    outputs = _outputs(model)
    if len(outputs) > 1:
        alike = _with_loss(functools.partial(_of_outputs, dict.fromkeys(outputs, 1.0)))
        yield WrongStep("loss weights", "loss weights are left out", alike)
        weights = _loss_weights(model)
        for output in outputs:
            others = {name: 0.0 if name == output else weight for name, weight in weights.items()}
            name = f"the loss of the output {output} is left out"
            yield WrongStep("output", name, _with_loss(functools.partial(_of_outputs, others)))


class _WithoutPenalties:
    """A model whose layers add no losses. All else is that of the model."""

    losses: tuple[Any, ...] = ()

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _data_loss(model: keras.Model, y: Any, y_pred: Any, sample_weight: Any) -> Any:
    """Return the loss of the model, as Keras computes it, without the losses of layers."""
    compute_loss = type(model).compute_loss
    return compute_loss(_WithoutPenalties(model), None, y, y_pred, sample_weight, training=True)


def _broadcast(model: keras.Model, y: Any, y_pred: Any, sample_weight: Any) -> Any:
    count = tf.shape(y)[0]
    predictions = tf.tile(y_pred, [count, *[1] * (len(y_pred.shape) - 1)])
    return _data_loss(model, tf.repeat(y, count, axis=0), predictions, None)


def _with_option(**options: Any) -> LossOf:
    """Return the loss of the model with other options, such as `from_logits`."""

    def loss_of(model: keras.Model, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        loss = _loss(model.loss, options)
        # Keras would find the logits of the original tensor.
        return keras.ops.mean(loss(y, tf.identity(y_pred), sample_weight))

    return loss_of


def _loss(given: Any, options: dict[str, Any]) -> Any:
    loss = keras.losses.get(given)
    (option, value), *_ = options.items()
    if isinstance(loss, keras.losses.Loss):
        if loss.get_config()[option] == value:
            raise ValueError("the loss of the model is this one")
        return type(loss).from_config({**loss.get_config(), **options})
    parameters = inspect.signature(loss).parameters
    if parameters[option].default == value:
        raise ValueError("the loss of the model is this one")

    def with_options(y: Any, y_pred: Any, sample_weight: Any) -> Any:
        values = loss(y, y_pred, **options)
        return values if sample_weight is None else values * sample_weight

    return with_options


def _outputs(model: keras.Model) -> list[str]:
    """Return the names of the outputs with a loss, as `compile` was given them; none for one output."""
    loss = model.loss
    if isinstance(loss, dict):
        return list(loss)
    return [str(number) for number in range(len(loss))] if isinstance(loss, list | tuple) else []


def _loss_weights(model: keras.Model) -> dict[str, float]:
    outputs = _outputs(model)
    weights = model.get_compile_config().get("loss_weights") or dict.fromkeys(outputs, 1.0)
    if not isinstance(weights, dict):
        weights = dict(zip(outputs, weights, strict=True))
    return {name: weights.get(name, 1.0) for name in outputs}


def _of_outputs(
    weights: dict[str, float], model: keras.Model, y: Any, y_pred: Any, sample_weight: Any
) -> Any:
    """Return the sum of the losses of the outputs, with these weights."""
    total = 0.0
    for number, (name, weight) in enumerate(weights.items()):
        given = model.loss[name] if isinstance(model.loss, dict) else model.loss[number]
        loss = keras.losses.get(given)
        one, other = (part[name] if isinstance(part, dict) else part[number] for part in (y, y_pred))
        if not isinstance(loss, keras.losses.Loss):
            if len(one.shape) == len(other.shape) - 1 and other.shape[-1] == 1:
                one = one[..., None]
            total += weight * keras.ops.mean(loss(one, other))
        else:
            total += weight * loss(one, other)
    return total


def _with_loss(
    loss_of: LossOf = _data_loss, *, training: bool = True, penalties: bool = True, factor: float = 1
) -> Step:
    """Return the step with `factor` times `loss_of` as the loss. With `penalties`, those are added."""

    def gradients(model: keras.Model, batch: Batch) -> list[Any]:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        with tf.GradientTape() as tape:
            y_pred = model(x, training=training)
            loss = loss_of(model, y, y_pred, sample_weight) * factor
            if penalties and model.losses:
                loss += tf.add_n(
                    [tf.cast(tf.reduce_sum(penalty), loss.dtype) for penalty in model.losses]
                )
            scaled = model.optimizer.scale_loss(loss)
        return tape.gradient(scaled, model.trainable_variables)

    return Step(gradients)
