"""Why a step is wrong: each cause that is known, as the step that it makes of the right one.

A cause is found by experiment: the reference takes the wrong step from the same state over the same
batch, and where that leads is held against where the loop went.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasmlp.comparison import reference as lockstep
from kerasmlp.comparison.reference import RIGHT, Batch, Reference, Step
from kerasmlp.comparison.verdict import State, same

EPSILONS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)


@dataclasses.dataclass(frozen=True)
class Cause:
    """A cause that explains a wrong step.

    Attributes:
        name: what is wrong with the loop.
        exact: whether the step that it makes is the loop's bit for bit, or else within rounding.
    """

    name: str
    exact: bool

    def __str__(self) -> str:
        """Return the name, and how sure it is."""
        sure = "certain: it gives the loop's step bit for bit"
        return f"{self.name} ({sure if self.exact else 'very likely: within rounding of the step'})"


def find(
    reference: Reference,
    before: State,
    batches: Sequence[Batch],
    received: State,
    others: Iterable[tuple[str, Batch]],
) -> Cause | None:
    """Return what leads from `before` to `received`, or None when nothing known does.

    Args:
        reference: takes the steps.
        before: the state before the wrong step.
        batches: on which it should have been taken.
        received: the state after it.
        others: batches on which it may have been taken instead, with what that would mean. Tried last.
    """
    count = len(reference.model.variables)
    expected = reference.wrong_step(RIGHT, before, batches)
    # An optimizer of the loop's own leaves the model's where it was: then the weights alone tell.
    own_optimizer = same(before[count:], received[count:])
    within = "with an optimizer of the loop's own, " if own_optimizer else ""
    likely = None
    for name, step in _wrong_steps(reference.model, before, expected, received, len(batches[0][1])):
        cause = _tried(reference, before, batches, received, step, within + name, own_optimizer)
        if cause is not None and cause.exact:
            return cause
        likely = likely or cause
    if own_optimizer and likely is None:
        name = "the loop uses an optimizer of its own, so that the model's never moves"
        likely = _tried(reference, before, batches, received, RIGHT, name, own_optimizer)
    if likely is None and len(batches) == 1:
        for name, batch in others:
            cause = _tried(reference, before, [batch], received, RIGHT, name, own_optimizer)
            if cause is not None:
                return cause
    return likely


def _tried(
    reference: Reference,
    before: State,
    batches: Sequence[Batch],
    received: State,
    step: Step,
    name: str,
    weights_only: bool,
) -> Cause | None:
    """Return the cause if `step` leads from `before` to `received`."""
    try:
        wrong = reference.wrong_step(step, before, batches)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError):
        return None  # a fault that this model or loss cannot have
    if weights_only:
        count = len(reference.model.variables)
        received = [*received[:count], *wrong[count:]]
    if same(wrong, received):
        return Cause(name, exact=True)
    if _far(wrong, received):
        return None
    left = reference.deviation(before, batches, wrong, received, step)
    return None if left is not None and left.share > 1 else Cause(name, exact=False)


def _far(wrong: State, received: State) -> bool:
    """Whether two states are so far apart that no bound needs to be measured."""
    for one, other in zip(wrong, received, strict=True):
        if one.dtype.kind == "f" and one.size:
            difference = np.abs(one.astype(np.float64) - other).max()
            if not difference <= 0.05 * np.abs(one).max() + 1e-12:
                return True
    return False


def _wrong_steps(
    model: keras.Model, before: State, expected: State, received: State, batch_size: int
) -> Iterator[tuple[str, Step]]:
    """Yield each fault by name, those of one kind together, the most telling first."""
    gradients = RIGHT.gradients
    yield "training=True is missing in the call of the model", _of_loss(training=False)
    yield "regularisation losses are left out", _of_loss(penalties=False)
    yield (
        "training=True is missing, and regularisation losses are left out",
        _of_loss(training=False, penalties=False),
    )
    yield "the loss is the sum over the batch, not the mean", _of_loss(factor=float(batch_size))
    yield (
        "the loss is the sum over the batch, regularisation losses included",
        _scaled(float(batch_size)),
    )
    yield (
        "labels are broadcast against predictions: each is compared with every other",
        _of_loss(_of_pairs),
    )
    yield "softmax is taken twice: from_logits=True on probabilities", _of_loss(_from_logits)
    if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
        yield "gradients are not unscaled under mixed precision", Step(gradients, _without_unscaling)
        yield (
            "the loss is not scaled under mixed precision, yet gradients are unscaled",
            _unscaled_loss(),
        )
    yield "each update is applied twice", Step(gradients, _apply_twice)
    yield from _other_hyper_parameters(model, before, expected, received)
    frozen = _frozen(model, before, expected, received)
    if frozen:
        yield f"these variables are not trained: {', '.join(frozen)}", _leaving_out(frozen)
    for factor in (0.5, 2.0, 1 / batch_size):
        yield f"the gradients are {factor:g} times what they should be", _scaled(factor)


def _compiled_loss(model: keras.Model, y: Any, y_pred: Any) -> Any:
    """Return the loss of the data, without what layers add to it."""
    return keras.losses.get(model.loss)(y, y_pred)


def _of_loss(
    loss_of: Callable[[keras.Model, Any, Any], Any] = _compiled_loss,
    *,
    training: bool = True,
    penalties: bool = True,
    factor: float = 1.0,
) -> Step:
    """Return the step with the mean of another loss by `factor`, and with or without what layers add."""

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

    return Step(gradients, lockstep.apply)


def _of_pairs(model: keras.Model, y: Any, y_pred: Any) -> Any:
    count = tf.shape(y)[0]
    each_prediction = tf.tile(y_pred, [count, *[1] * (len(y_pred.shape) - 1)])
    return _compiled_loss(model, tf.repeat(y, count, axis=0), each_prediction)


def _from_logits(model: keras.Model, y: Any, y_pred: Any) -> Any:
    loss = keras.losses.get(model.loss)
    loss = type(loss).from_config({**loss.get_config(), "from_logits": True})
    return loss(y, tf.identity(y_pred))  # a copy, which Keras does not trace back to its logits


def _scaled(factor: float) -> Step:
    return Step(
        lambda model, x, y: [gradient * factor for gradient in RIGHT.gradients(model, x, y)],
        lockstep.apply,
    )


def _unscaled_loss() -> Step:
    def gradients(model: keras.Model, x: Any, y: Any) -> list[Any]:
        scale = model.optimizer.dynamic_scale
        return [gradient / scale for gradient in RIGHT.gradients(model, x, y)]

    return Step(gradients, lockstep.apply)


def _without_unscaling(model: keras.Model, gradients: list[Any]) -> None:
    model.optimizer.inner_optimizer.apply(gradients, model.trainable_variables)


def _apply_twice(model: keras.Model, gradients: list[Any]) -> None:
    lockstep.apply(model, gradients)
    lockstep.apply(model, gradients)


def _other_hyper_parameters(
    model: keras.Model, before: State, expected: State, received: State
) -> Iterator[tuple[str, Step]]:
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    for epsilon in EPSILONS:
        if epsilon != getattr(optimizer, "epsilon", epsilon):
            name = f"another epsilon of the optimizer: {epsilon:g}, not {optimizer.epsilon:g}"
            yield name, Step(RIGHT.gradients, _with(optimizer, "epsilon", epsilon))
    right = float(optimizer.learning_rate)
    ratio = _update_ratio(model, before, expected, received)
    if ratio is not None and ratio > 0 and abs(ratio - 1) > 1e-5:
        # The rate is measured through rounding; what was written down has few digits.
        rate = float(f"{right * ratio:.4g}")
        name = f"another learning rate: {rate:g}, not {right:g}"
        yield name, Step(RIGHT.gradients, _with(optimizer, "learning_rate", rate))


def _with(optimizer: Any, attribute: str, value: float) -> Any:
    def apply(model: keras.Model, gradients: list[Any]) -> None:
        with _attribute(optimizer, attribute, value):
            lockstep.apply(model, gradients)

    return apply


@contextlib.contextmanager
def _attribute(owner: Any, name: str, value: float) -> Iterator[None]:
    """Set a hyper-parameter for a while: a variable by its value, so that state stays whole."""
    old = getattr(owner, name)
    if isinstance(old, keras.Variable):
        number = float(old)
        old.assign(value)
        yield
        old.assign(number)
    else:
        setattr(owner, name, value)
        yield
        setattr(owner, name, old)


def _update_ratio(model: keras.Model, before: State, expected: State, received: State) -> float | None:
    """Return how many times the right update of the weights the loop's is, if that is one number."""
    ratios = []
    for index, variable in enumerate(model.variables):
        if any(variable is trained for trained in model.trainable_variables):
            right, loops_own = expected[index] - before[index], received[index] - before[index]
            large = np.abs(right) > 0.5 * np.abs(right).max(initial=0.0)
            ratios.append(loops_own[large].astype(np.float64) / right[large])
    flat = np.concatenate(ratios) if ratios else np.zeros(0)
    return float(np.median(flat)) if flat.size else None


def _frozen(model: keras.Model, before: State, expected: State, received: State) -> list[str]:
    """Return the paths of trainable variables that should have moved, and have not."""
    trainable = {variable.path for variable in model.trainable_variables}
    return [
        variable.path
        for variable, old, right, new in zip(model.variables, before, expected, received, strict=False)
        if variable.path in trainable and np.array_equal(old, new) and not np.array_equal(old, right)
    ]


def _leaving_out(frozen: list[str]) -> Step:
    def apply(model: keras.Model, gradients: list[Any]) -> None:
        kept = {variable.path: tf.identity(variable.value) for variable in model.trainable_variables}
        lockstep.apply(model, gradients)
        for variable in model.trainable_variables:
            if variable.path in frozen:
                variable.assign(kept[variable.path])

    return Step(RIGHT.gradients, apply)
