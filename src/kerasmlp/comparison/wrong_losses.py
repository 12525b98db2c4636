"""The known mistakes in the loss, each as the wrong step that it leads to."""

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.comparison.reference import Batch, Step, dense, own_gradients
from kerasmlp.comparison.wrong_steps import Evidence, WrongStep

_OPTIONS = (
    ("from_logits", True, "softmax or sigmoid is taken twice: from_logits=True on probabilities"),
    ("from_logits", False, "logits are taken for probabilities: from_logits=True is missing"),
    ("label_smoothing", 0.0, "label smoothing is left out"),
)
"""Options of losses: the name, the wrong value, and what the mistake is."""
LossOf = Callable[[keras.Model, Any, Any, Any], Any]
"""Takes the model, y, the predictions and the sample weights; returns the loss without penalties."""


def with_other_losses(evidence: Evidence) -> Iterator[WrongStep]:
    """Yield mistakes in the call of the model, and in what its loss is."""
    model, batch_size = evidence.model, evidence.batch_size
    yield WrongStep(
        "training", "training=True is missing in the call of the model", _with_loss(training=False)
    )
    yield WrongStep("penalties", "regularisation losses are left out", _with_loss(penalties=0.0))
    without = _with_loss(penalties=0.0)
    yield WrongStep(
        "penalties",
        "regularisation losses are left out",
        Step(lambda *of: dense(without.gradients(*of))),
    )
    twice = "regularisation losses are added twice"
    yield WrongStep("penalties", twice, _with_loss(penalties=2.0))
    neither = "training=True is missing, and regularisation losses are left out"
    yield WrongStep("training and penalties", neither, _with_loss(training=False, penalties=0.0))
    summed = "the loss is the sum over the batch, not the mean"
    yield WrongStep("sum", summed, _with_loss(factor=batch_size))
    summed = "the loss is the sum over the batch, with regularisation losses"
    scaled = Step(lambda *of: [gradient * batch_size for gradient in dense(own_gradients(*of))])
    yield WrongStep("sum", summed, scaled)
    normalised = "the loss is divided by the sum of the sample weights, not by the number of examples"
    yield WrongStep("weights", normalised, _with_loss(_per_weight))
    broadcast = "labels are broadcast: each prediction is compared with every label"
    yield WrongStep("broadcast", broadcast, _with_loss(_broadcast))
    for option, value, name in _OPTIONS:
        for output in _outputs(model):
            loss_of = functools.partial(_of_outputs, options={output: {option: value}})
            of_output = "" if output is None else f" (output {output})"
            yield WrongStep(option, name + of_output, _with_loss(loss_of))
    weights = _loss_weights(model)
    if len(weights) > 1:
        alike = dict.fromkeys(weights, 1.0)
        loss_of = functools.partial(_of_outputs, weights=alike)
        yield WrongStep("loss weights", "loss weights are left out", _with_loss(loss_of))
        for output in weights:
            loss_of = functools.partial(_of_outputs, weights={**weights, output: 0.0})
            name = f"the loss of the output {output} is left out"
            yield WrongStep("output", name, _with_loss(loss_of))


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


def _per_weight(model: keras.Model, y: Any, y_pred: Any, sample_weight: Any) -> Any:
    """As PyTorch's cross-entropy with weights of classes."""
    if not tf.is_tensor(sample_weight):
        raise ValueError("there are no sample weights, or those of several outputs")
    mean = tf.reduce_mean(tf.cast(sample_weight, y_pred.dtype))
    return _data_loss(model, y, y_pred, sample_weight) / mean


def _broadcast(model: keras.Model, y: Any, y_pred: Any, sample_weight: Any) -> Any:
    count = tf.shape(y)[0]
    predictions = tf.tile(y_pred, [count, *[1] * (len(y_pred.shape) - 1)])
    return _data_loss(model, tf.repeat(y, count, axis=0), predictions, None)


def _outputs(model: keras.Model) -> list[Any]:
    """Return the names, or numbers, of the outputs with a loss, as `compile` was given them.

    A single output is None.
    """
    loss = model.loss
    if isinstance(loss, dict):
        return list(loss)
    return list(range(len(loss))) if isinstance(loss, list | tuple) else [None]


def _loss_weights(model: keras.Model) -> dict[Any, float]:
    outputs = _outputs(model)
    with warnings.catch_warnings(action="ignore"):  # that a lambda among the losses is serialized
        config = model.get_compile_config() or {}
    given = config.get("loss_weights") or dict.fromkeys(outputs, 1.0)
    weights = given if isinstance(given, dict) else dict(zip(outputs, given, strict=True))
    return {name: weights.get(name, 1.0) for name in outputs}


def _of_outputs(
    model: keras.Model,
    y: Any,
    y_pred: Any,
    sample_weight: Any,
    *,
    weights: dict[Any, float] | None = None,
    options: dict[Any, dict[str, Any]] | None = None,
) -> Any:
    """Return the sum of the losses of the outputs, with these weights, and these options of losses."""
    total = 0.0
    for output, weight in (weights or _loss_weights(model)).items():
        given, labels, predictions = model.loss, y, y_pred
        if output is not None:
            given, labels, predictions = given[output], labels[output], predictions[output]
        loss = _loss(given, (options or {}).get(output, {}))
        predictions = tf.identity(predictions)  # without it, Keras would find its logits
        total += weight * loss(labels, predictions, sample_weight)
    return total


def _loss(given: Any, options: dict[str, Any]) -> Callable[[Any, Any, Any], Any]:
    """Return a loss with other options. A `ValueError` says that it has them already."""
    loss = keras.losses.get(given)
    for option, value in options.items():
        if isinstance(loss, keras.losses.Loss):
            current = loss.get_config()[option]
        else:
            current = inspect.signature(loss).parameters[option].default
        if current == value:
            raise ValueError("the loss of the model is this one")
    if isinstance(loss, keras.losses.Loss):
        return type(loss).from_config({**loss.get_config(), **options})
    return _FunctionLoss(functools.partial(loss, **options))


class _FunctionLoss(keras.losses.Loss):
    """A function as a loss, as Keras takes it: ranks are aligned, and the mean is taken."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self._function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if len(y_true.shape) == len(y_pred.shape) - 1 and y_pred.shape[-1] == 1:
            y_true = y_true[..., None]
        elif len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1 != y_pred.shape[-1]:
            y_true = y_true[..., 0]
        return self._function(y_true, y_pred)


def _with_loss(
    loss_of: LossOf = _data_loss, *, training: bool = True, penalties: float = 1.0, factor: float = 1
) -> Step:
    """Return the step with `factor` times `loss_of`, and `penalties` times the losses of layers."""

    def gradients(model: keras.Model, batch: Batch) -> list[Any]:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        with tf.GradientTape() as tape:
            y_pred = model(x, training=training)
            loss = loss_of(model, y, y_pred, sample_weight) * factor
            if penalties and model.losses:
                added = [tf.cast(tf.reduce_sum(penalty), loss.dtype) for penalty in model.losses]
                loss += penalties * tf.add_n(added)
            scaled = model.optimizer.scale_loss(loss)
        return tape.gradient(scaled, model.trainable_variables)

    return Step(gradients)
