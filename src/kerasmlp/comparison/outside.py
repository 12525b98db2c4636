"""What a loop changes outside its steps: before the first, between two, or after the last."""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from kerasmlp.comparison.reference import Reference, values
from kerasmlp.comparison.verdict import Divergence, State, same
from kerasmlp.data import Epochs, unpacked


def divergence(
    reference: Reference, train: Epochs, expected: State, found: State, step: int, compared: int | None
) -> Divergence:
    """Return what the loop changed before the step that follows `step`.

    Without the change it would take it from `expected`; it takes it from `found`.
    """
    when = "before the first step" if step == 0 else f"between the steps {step} and {step + 1}"
    return _divergence(reference, train, expected, found, step + 1, when, compared)


def after_the_last_step(
    reference: Reference,
    train: Epochs,
    expected: State,
    last: State,
    found: State,
    step: int,
    compared: int | None,
) -> Divergence | None:
    """Return what differs at the end of the training: `found`, not `expected`.

    The last step ended in `last`.
    """
    pairs = list(zip(expected[:compared], found[:compared], strict=True))
    if all(np.allclose(one, other, rtol=1e-6, atol=1e-7) for one, other in pairs):
        return None
    if same(last[:compared], found[:compared]):
        changed = [
            path
            for path, (one, other) in zip(reference.paths, pairs, strict=False)
            if not same([one], [other])
        ]
        size = max(float(np.abs(one.astype(float) - other).max(initial=0)) for one, other in pairs)
        cause = "EMA is not finalised: optimizer.finalize_variable_values is not called at the end"
        return Divergence(step, f"{changed[0]}, at the end of training,", size, 1e-7, cause)
    return _divergence(reference, train, last, found, step, "at the end of training", compared)


def _divergence(
    reference: Reference,
    train: Epochs,
    expected: State,
    found: State,
    step: int,
    when: str,
    compared: int | None,
) -> Divergence:
    pairs = zip(reference.paths, expected[:compared], found[:compared], strict=False)
    changed = [(path, old, new) for path, old, new in pairs if not same([old], [new])]
    path, old, new = changed[0]
    cause = next(_causes(reference, train, expected, found, changed, compared))
    size = float(np.abs(new.astype(float) - old).max())
    return Divergence(step, f"{path}, changed {when},", size, 0.0, cause)


def _causes(
    reference: Reference,
    train: Epochs,
    expected: State,
    found: State,
    changed: list[tuple[str, np.ndarray, np.ndarray]],
    compared: int | None,
) -> Iterator[str]:
    """Yield the causes that explain the change, the most specific one first."""
    for path, old, new in changed:
        if path.endswith("learning_rate"):
            yield f"another learning rate: {float(new):g}, not {float(old):g}"

    def is_found(state: State) -> bool:
        pairs = zip(state[:compared], found[:compared], strict=True)
        return all(np.allclose(one, other, rtol=1e-5, atol=1e-7) for one, other in pairs)

    if reference.validation is not None and is_found(
        _after_passes(reference, expected, lambda: reference.validation)
    ):
        yield "validation changes the state: it calls the model with training=True"
    if is_found(_after_passes(reference, expected, lambda: train.epoch(0).take(1))):
        yield "the model is called with training=True outside of its steps: statistics or seeds move"
    yield f"the loop changes the state outside its steps: {', '.join(path for path, _, _ in changed)}"


def _after_passes(reference: Reference, before: State, batches: Callable[[], tf.data.Dataset]) -> State:
    """Return the state after forward passes with `training=True`."""
    reference.restore(before)
    try:
        for batch in batches():
            reference.model(unpacked(batch)[0], training=True)
    except Exception:  # the model cannot be called
        reference.restore(before)
    return values(reference.variables)
