"""The state of a training: captured from model, optimizer and callbacks, and put back into them."""

from typing import Any

import keras
import numpy as np

from kerasmlp import keras_internals
from kerasmlp.checkpoints.keras_callbacks import Callbacks, attributes, value
from kerasmlp.checkpoints.plain import Arrays, from_json, to_json
from kerasmlp.models import optimizers, plain_variables


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
        [
            type(callback).__name__,
            {
                name: to_json(value(callback, name), f"callbacks/{place}/{name}", arrays)
                for name in names
            },
        ]
        for place, (callback, names) in enumerate(_with_state(callbacks))
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
                f"the run was begun with another model: expected {len(saved)} {group} variables, as in"
                f" its checkpoint; received {len(variables)}; another model needs a run of another name"
            )
        for variable, array in zip(variables, saved, strict=True):
            dtype = variable.numpy().dtype
            if array.dtype.kind == "V":  # NumPy saves bfloat16 as raw bytes
                array = array.view(dtype)
            if array.shape != tuple(variable.shape) or array.dtype != dtype:
                raise ValueError(
                    f"the run was begun with another model: expected {array.dtype} of shape"
                    f" {list(array.shape)}, as in its checkpoint; received {variable.path}, {dtype} of"
                    f" shape {list(variable.shape)}; another model needs a run of another name"
                )
            pairs.append((variable, array))
    for variable, array in pairs:
        variable.assign(array)


def put_callbacks(callbacks: Callbacks, arrays: Arrays, states: list[Any]) -> None:
    """Set the state of the callbacks.

    Raises:
        ValueError: the state is that of other callbacks. None has been changed.
    """
    with_state = _with_state(callbacks)
    expected = [f"{kind}({', '.join(state)})" for kind, state in states]
    received = [f"{type(callback).__name__}({', '.join(names)})" for callback, names in with_state]
    if received != expected:
        raise ValueError(
            "the checkpoint is of a run with other callbacks: expected, with their attributes,"
            f" {'; '.join(expected)}; received {'; '.join(received)}"
        )
    for (callback, names), (_, state) in zip(with_state, states, strict=True):
        for name in names:
            setattr(callback, name, from_json(state[name], arrays))


def _variables(model: keras.Model) -> dict[str, list[Any]]:
    return {
        "model": [*model.variables, *_recurrent_states(model), *plain_variables(model)],
        "optimizer": [variable for each in optimizers(model) for variable in each.variables],
        "metrics": model.metrics_variables,
    }


def _recurrent_states(model: keras.Model) -> list[Any]:
    """Return the states of layers with `stateful=True`, which Keras does not count as variables."""
    layers = keras_internals.layers(model)
    states = (layer.states for layer in layers if isinstance(layer, keras.layers.RNN) and layer.states)
    return [variable for nested in states for variable in keras.tree.flatten(nested)]


def _with_state(callbacks: Callbacks) -> list[tuple[keras.callbacks.Callback, list[str]]]:
    """Return the callbacks that have a state, each with the names of its attributes."""
    named = ((callback, attributes(callback)) for callback in callbacks)
    return [(callback, names) for callback, names in named if names]
