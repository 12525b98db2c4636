"""The known mistakes from the gradients to the weights, each as the wrong step that it leads to."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasmlp.comparison.reference import RIGHT, Batch, Step, dense, own_gradients, restore
from kerasmlp.comparison.verdict import State
from kerasmlp.comparison.wrong_steps import Evidence, WrongStep

EPSILONS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
"""Values of an optimizer's epsilon that are tried."""
_NO_SETTINGS = ("name", "loss_scale_factor", "gradient_accumulation_steps")
Arrays = list[NDArray[Any]]


def with_other_updates(evidence: Evidence) -> Iterator[WrongStep]:
    """Yield mistakes in the optimizer, and in how it is used."""
    model = evidence.model
    if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
        kind = "loss scale"
        name = "gradients are not unscaled under mixed precision"
        yield WrongStep(kind, name, Step(apply=_apply_without_unscaling))
        name = "the loss is not scaled under mixed precision, but the gradients are unscaled"
        yield WrongStep(kind, name, Step(_gradients_of_unscaled_loss))
    name = "the gradient of an Embedding is applied as a dense tensor, which Keras' optimizer squares"
    as_dense = Step(lambda *of: dense(own_gradients(*of)))
    yield WrongStep("dense", f"{name} after the sum over equal ids", as_dense)
    yield WrongStep("update", "each update is applied twice", Step(apply=_apply_twice))
    yield from (_guessed_settings if evidence.optimizer is None else _other_settings)(evidence)
    yield from _other_gradients(evidence)


def _guessed_settings(evidence: Evidence) -> Iterator[WrongStep]:
    """Yield the step with other settings, if the optimizer of the loop is none of Keras'."""
    optimizer = _inner(evidence.model.optimizer)
    for epsilon in EPSILONS:
        if epsilon != getattr(optimizer, "epsilon", epsilon):
            name = f"another epsilon of the optimizer: {epsilon:g}, not {optimizer.epsilon:g}"
            yield WrongStep("epsilon", name, _with_settings(optimizer, {"epsilon": epsilon}))
    for name in ("clipnorm", "global_clipnorm", "clipvalue", "weight_decay"):
        if getattr(optimizer, name, None):
            without = f"another {name.replace('_', ' ')}: None, not {getattr(optimizer, name):g}"
            yield WrongStep(name, without, _with_settings(optimizer, {name: None}))
    right = float(optimizer.learning_rate)
    rate = _rounded(right * _update_ratio(evidence))
    if rate > 0 and abs(rate / right - 1) > 1e-5:
        name = f"another learning rate: {rate:g}, not {right:g}"
        yield WrongStep("learning rate", name, _with_settings(optimizer, {"learning_rate": rate}))


def _other_settings(evidence: Evidence) -> Iterator[WrongStep]:
    """Yield the step with the optimizer that the loop uses, if it differs from the compiled one."""
    compiled, used = _inner(evidence.model.optimizer), _inner(evidence.optimizer)
    if type(used) is not type(compiled):
        names = {"optimizer": f"another optimizer: {type(used).__name__}, not {type(compiled).__name__}"}
    else:
        right, other = compiled.get_config(), used.get_config()
        names = {
            key: f"another {_described(key)}: {_value(other[key])}, not {_value(value)}"
            for key, value in right.items()
            if key not in _NO_SETTINGS and not _equal(value, other.get(key))
        }
    if not evidence.has_own_optimizer:
        names.pop("learning_rate", None)  # it is a variable of the state
    if names:
        kind = next(iter(names)).replace("_", " ")
        if evidence.has_own_optimizer:
            step = Step(apply=_applied_by(used, evidence.slots))
        else:
            step = _with_settings(compiled, {key: getattr(used, key) for key in names})
        yield WrongStep(kind, "; ".join(names.values()), step)


def _described(setting: str) -> str:
    return "epsilon of the optimizer" if setting == "epsilon" else setting.replace("_", " ")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value.get('class_name')}"
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6)
    return bool(one == other)


def _applied_by(used: Any, slots: State) -> Callable[[keras.Model, list[Any]], None]:
    """Return the update by an optimizer like `used`, whose variables were `slots` before the step."""

    def apply(model: keras.Model, gradients: list[Any]) -> None:
        optimizer = type(used).from_config(used.get_config())
        optimizer.build(model.trainable_variables)
        for variable, value in zip(optimizer.variables, slots, strict=False):
            if not variable.path.endswith("learning_rate") and variable.shape == value.shape:
                variable.assign(value)
        optimizer.apply(gradients, model.trainable_variables)

    return apply


def _other_gradients(evidence: Evidence) -> Iterator[WrongStep]:
    """Yield the steps with scaled or clipped gradients that the loop's update points to."""
    right, received, total = _implied_gradients(evidence)
    scaled_by = evidence.model.optimizer.scale_loss  # gradients too, until the optimizer unscales them
    ratios = [_median_ratio(one, other) for one, other in zip(right, received, strict=True)]
    norms = [float(np.linalg.norm(gradient)) for gradient in right]
    known = [
        (ratio, norm) for ratio, norm in zip(ratios, norms, strict=True) if math.isfinite(ratio) and norm
    ]
    if not known:
        return
    factor = float(np.median([ratio for ratio, _ in known]))
    if abs(factor) > 0 and abs(factor - 1) > 1e-4:
        clip = _rounded(factor * total, 2)
        if factor < 1 and clip and abs(clip / (factor * total) - 1) < 1e-3:
            name = f"gradients are clipped by global norm {clip:g}"
            step = _clipped(lambda gs: tf.clip_by_global_norm(gs, scaled_by(clip))[0])
            yield WrongStep("clipped", name, step)
        part = round(1 / factor)
        if part > 1 and abs(part * factor - 1) < 1e-3:
            scale, name = 1 / part, f"1/{part}"
        else:
            scale = _rounded(factor, 3 if abs(_rounded(factor, 3) / factor - 1) < 1e-3 else 4)
            name = f"{scale:g}"
        if part == 2:
            name = "0.5"
        name = f"the gradients are {name} times the right ones"
        scaled = Step(lambda *of: [None if g is None else g * scale for g in dense(own_gradients(*of))])
        yield WrongStep("factor", name, scaled)
    clips = [ratio * norm for ratio, norm in known if ratio < 1 - 1e-4]
    clip = _rounded(float(np.median(clips)), 2) if clips else 0.0
    if clip > 0:
        name = f"gradients are clipped by norm {clip:g}, variable by variable"
        step = _clipped(lambda gs: [tf.clip_by_norm(g, scaled_by(clip)) for g in gs])
        yield WrongStep("clipped", name, step)
    largest = _rounded(max(float(np.abs(gradient).max(initial=0)) for gradient in received), 2)
    if largest:
        name = f"gradients are clipped by value {largest:g}"
        step = _clipped(
            lambda gs: [tf.clip_by_value(g, -scaled_by(largest), scaled_by(largest)) for g in gs]
        )
        yield WrongStep("clipped", name, step)


def _clipped(clip: Callable[[list[Any]], list[Any]]) -> Step:
    return Step(lambda *of: clip(own_gradients(*of)))


def _implied_gradients(evidence: Evidence) -> tuple[Arrays, Arrays, float]:
    """Return the right gradients, those that the loop seems to have applied, and the right global norm.

    The first moment of an optimizer tells them, or the velocity, or without either the update itself.
    """
    model = evidence.model
    optimizer = _inner(model.optimizer)
    restore(model, evidence.before)
    found = own_gradients(model, evidence.batches[0])
    scale = float(model.optimizer.scale_loss(1.0))
    # Of an Embedding, TensorFlow takes the norm of its rows before equal ids are added.
    total = float(tf.linalg.global_norm(found)) / scale
    right = [np.zeros(0) if g is None else g.numpy() / scale for g in dense(found)]
    restore(model, evidence.before)
    weights = len(model.variables)
    slots = [variable.path for variable in model.optimizer.variables]
    momentum = [n for n, path in enumerate(slots) if path.endswith("_momentum")]
    velocity = [n for n, path in enumerate(slots) if path.endswith("_velocity")]
    power = 1.0
    if len(momentum) == len(right):
        chosen, decay = momentum, getattr(optimizer, "beta_1", getattr(optimizer, "momentum", 0.0))
    elif len(velocity) == len(right):
        chosen, decay, power = velocity, getattr(optimizer, "rho", 0.0), 0.5
    else:
        numbers = {variable.path: n - weights for n, variable in enumerate(model.variables)}
        chosen, decay = [numbers[each.path] for each in model.trainable_variables], 1.0
    applied = []
    for gradient, number in zip(right, chosen, strict=True):
        old, expected, received = (
            state[weights + number].astype(np.float64)
            for state in (evidence.before, evidence.expected, evidence.received)
        )
        with np.errstate(all="ignore"):
            ratio = (received - decay * old) / (expected - decay * old)
            ratio = np.sign(ratio) * np.abs(ratio) ** power
        applied.append(gradient * np.where(np.isfinite(ratio), ratio, 0.0))
    return right, applied, total


def _median_ratio(right: NDArray[Any], received: NDArray[Any]) -> float:
    """Return the median ratio over the larger elements. NaN if there are none."""
    large = np.abs(right) > 0.5 * np.abs(right).max(initial=0.0)
    return float(np.median(received[large] / right[large])) if large.any() else math.nan


def _update_ratio(evidence: Evidence) -> float:
    """Return the median ratio of the loop's updates to the right ones; NaN if there are none."""
    ratios = [np.zeros(0)]
    for _, old, right, new in evidence.changes():
        update = right - old
        large = np.abs(update) > 0.5 * np.abs(update).max()
        ratios.append((new - old)[large].astype(np.float64) / update[large])
    found = np.concatenate(ratios)
    return float(np.median(found)) if found.size else math.nan


def _rounded(value: float, digits: int = 4) -> float:
    """Return a measured number as somebody wrote it: with few digits."""
    return float(f"{value:.{digits}g}")


def _inner(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)


def _with_settings(optimizer: Any, settings: dict[str, Any]) -> Step:
    def apply(model: keras.Model, gradients: list[Any]) -> None:
        right = {name: getattr(optimizer, name) for name in settings}
        if "learning_rate" in right:
            right["learning_rate"] = float(right["learning_rate"])
        try:
            for name, value in settings.items():
                setattr(optimizer, name, value)
            RIGHT.apply(model, gradients)
        finally:
            for name, value in right.items():
                setattr(optimizer, name, value)

    return Step(apply=apply)


def _gradients_of_unscaled_loss(model: keras.Model, batch: Batch) -> list[Any]:
    return [each / model.optimizer.dynamic_scale for each in dense(own_gradients(model, batch))]


def _apply_without_unscaling(model: keras.Model, gradients: list[Any]) -> None:
    model.optimizer.inner_optimizer.apply(gradients, model.trainable_variables)


def _apply_twice(model: keras.Model, gradients: list[Any]) -> None:
    RIGHT.apply(model, gradients)
    RIGHT.apply(model, gradients)
