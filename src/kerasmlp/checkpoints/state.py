"""All that the future of a training depends on, taken from its objects and put back into them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

OF_KERAS = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.ModelCheckpoint: ("best",),
    keras.callbacks.History: ("epoch", "history"),
}
"""The attributes of Keras' callbacks that their future depends on. A callback of one's own names them in
an attribute `checkpointed`."""


def take(model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]) -> tuple[Arrays, list[Any]]:
    """Return copies of the variables of model, optimizer and metrics, and the state of the callbacks.

    The state is what JSON can hold; arrays in it are among the arrays returned.

    Raises:
        TypeError: a callback's state holds something else than numbers and arrays.
    """
    arrays = {
        f"{group}/{number:04}": np.array(variable.numpy())
        for group, variables in _variables(model).items()
        for number, variable in enumerate(variables)
    }
    states = [
        {name: _plain(getattr(callback, name), f"callbacks/{place}/{name}", arrays) for name in names}
        for place, (callback, names) in enumerate(_checkpointed(callbacks))
    ]
    return arrays, states


def put_variables(model: keras.Model, arrays: Arrays, *groups: str) -> None:
    """Set the variables of `groups`, some of `model`, `optimizer` and `metrics`.

    Raises:
        ValueError: they are not those of this model. None has been set.
    """
    pairs = []
    for group in groups:
        variables = _variables(model)[group]
        saved = [array for name, array in sorted(arrays.items()) if name.startswith(f"{group}/")]
        if len(saved) != len(variables):
            raise ValueError(
                f"the checkpoint is of another model: expected {len(variables)} variables of its"
                f" {group}; received {len(saved)}"
            )
        for variable, array in zip(variables, saved, strict=True):
            dtype = np.dtype(variable.numpy().dtype)
            if array.dtype.kind == "V":  # how NumPy's format holds bfloat16
                array = array.view(dtype)
            if array.shape != tuple(variable.shape) or array.dtype != dtype:
                raise ValueError(
                    f"the checkpoint is of another model: expected {variable.path} as {dtype} of shape"
                    f" {list(variable.shape)}; received {array.dtype} of shape {list(array.shape)}"
                )
            pairs.append((variable, array))
    for variable, array in pairs:
        variable.assign(array)


def put_callbacks(
    callbacks: Sequence[keras.callbacks.Callback], arrays: Arrays, states: list[Any]
) -> None:
    """Set the state of the callbacks.

    Raises:
        ValueError: they are not those whose state was taken.
    """
    checkpointed = _checkpointed(callbacks)
    if [sorted(names) for _, names in checkpointed] != [sorted(state) for state in states]:
        raise ValueError("the checkpoint is of a run with other callbacks")
    for (callback, names), state in zip(checkpointed, states, strict=True):
        for name in names:
            setattr(callback, name, _original(state[name], arrays))


def _variables(model: keras.Model) -> dict[str, list[Any]]:
    return {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }


def _checkpointed(
    callbacks: Sequence[keras.callbacks.Callback],
) -> list[tuple[keras.callbacks.Callback, Sequence[str]]]:
    """Return those of the callbacks that have a state, and the names of its attributes."""
    named = []
    for callback in callbacks:
        of_keras = (names for kind, names in OF_KERAS.items() if isinstance(callback, kind))
        names = getattr(callback, "checkpointed", None) or next(of_keras, ())
        if names:
            named.append((callback, names))
    return named


def _plain(value: Any, name: str, arrays: Arrays) -> Any:
    """Return `value` as JSON holds it, its arrays put among `arrays`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        arrays[name] = np.array(value)
        return {"array": name}
    if isinstance(value, list | tuple):
        return [_plain(part, f"{name}/{place:04}", arrays) for place, part in enumerate(value)]
    if isinstance(value, dict):
        return {"dict": {key: _plain(part, f"{name}/{key}", arrays) for key, part in value.items()}}
    raise TypeError(f"{name}: expected numbers and arrays, to be checkpointed; received {value!r}")


def _original(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, list):
        return [_original(part, arrays) for part in value]
    if isinstance(value, dict):
        if "array" in value:
            return arrays[value["array"]]
        return {key: _original(part, arrays) for key, part in value["dict"].items()}
    return value
