"""The state of a training: captured from model, optimizer and callbacks, and put back into them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Callbacks = Sequence[keras.callbacks.Callback]

KERAS_CALLBACKS = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.ModelCheckpoint: ("best",),
    keras.callbacks.History: ("epoch", "history"),
}
"""The attributes of Keras' callbacks that a checkpoint holds. Your own callback names its attributes in
`checkpointed`."""


def capture(model: keras.Model, callbacks: Callbacks) -> tuple[Arrays, list[Any]]:
    """Return copies of all arrays by name, and the other state of the callbacks as JSON can hold it.

    The arrays are the variables of model, optimizer and metrics, and those in the state of callbacks.

    Raises:
        TypeError: the state of a callback has a value that a checkpoint cannot hold.
    """
    arrays = {
        f"{group}/{number:04}": np.array(variable.numpy())
        for group, variables in _variables(model).items()
        for number, variable in enumerate(variables)
    }
    states = [
        {name: _to_json(getattr(callback, name), f"callbacks/{place}/{name}", arrays) for name in names}
        for place, (callback, names) in enumerate(_checkpointed(callbacks))
    ]
    return arrays, states


def put_variables(model: keras.Model, arrays: Arrays, *groups: str) -> None:
    """Set the variables of some groups: `model`, `optimizer`, `metrics`.

    Raises:
        ValueError: the arrays are those of another model. No variable has been set.
    """
    pairs = []
    for group in groups:
        variables = _variables(model)[group]
        saved = [array for name, array in sorted(arrays.items()) if name.startswith(f"{group}/")]
        if len(saved) != len(variables):
            raise ValueError(
                f"the checkpoint is of another model: expected {len(variables)} {group} variables;"
                f" received {len(saved)}"
            )
        for variable, array in zip(variables, saved, strict=True):
            dtype = variable.numpy().dtype
            if array.dtype.kind == "V":  # NumPy saves bfloat16 as raw bytes
                array = array.view(dtype)
            if array.shape != tuple(variable.shape) or array.dtype != dtype:
                raise ValueError(
                    f"the checkpoint is of another model: expected {variable.path} as {dtype} of shape"
                    f" {list(variable.shape)}; received {array.dtype} of shape {list(array.shape)}"
                )
            pairs.append((variable, array))
    for variable, array in pairs:
        variable.assign(array)


def put_callbacks(callbacks: Callbacks, arrays: Arrays, states: list[Any]) -> None:
    """Set the state of the callbacks. Raise `ValueError` if it is that of other callbacks."""
    checkpointed = _checkpointed(callbacks)
    expected = [sorted(names) for _, names in checkpointed]
    received = [sorted(state) for state in states]
    if received != expected:
        raise ValueError(
            "the checkpoint is of a run with other callbacks: expected state with the attributes"
            f" {expected}; received {received}"
        )
    for (callback, names), state in zip(checkpointed, states, strict=True):
        for name in names:
            setattr(callback, name, _from_json(state[name], arrays))


def _variables(model: keras.Model) -> dict[str, list[Any]]:
    return {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }


def _checkpointed(callbacks: Callbacks) -> list[tuple[keras.callbacks.Callback, Sequence[str]]]:
    """Return the callbacks that have a state, each with the names of its attributes."""
    named = []
    for callback in callbacks:
        of_keras = (names for kind, names in KERAS_CALLBACKS.items() if isinstance(callback, kind))
        if names := getattr(callback, "checkpointed", None) or next(of_keras, ()):
            named.append((callback, names))
    return named


def _to_json(value: Any, name: str, arrays: Arrays) -> Any:
    """Return `value` as JSON can hold it. Add the arrays in it to `arrays`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        arrays[name] = np.array(value)
        return {"array": name}
    if isinstance(value, list | tuple):
        return [_to_json(part, f"{name}/{place:04}", arrays) for place, part in enumerate(value)]
    if isinstance(value, dict):
        return {"dict": {key: _to_json(part, f"{name}/{key}", arrays) for key, part in value.items()}}
    raise TypeError(
        f"{name}: expected None, a number, a string, an array, or a list or dict of them;"
        f" received {value!r}"
    )


def _from_json(value: Any, arrays: Arrays) -> Any:
    """Return the value that `_to_json` was given. Tuples have become lists."""
    if isinstance(value, list):
        return [_from_json(part, arrays) for part in value]
    if isinstance(value, dict):
        if "array" in value:
            return arrays[value["array"]]
        return {key: _from_json(part, arrays) for key, part in value["dict"].items()}
    return value
