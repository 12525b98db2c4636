"""Functions of the user's that a name stands for, `package.module:name`: models, callbacks, loops."""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kerasmlp.runs.fields import Bound

if TYPE_CHECKING:
    import keras

NAME = Bound(
    lambda value: value is None or all(part.strip() for part in value.partition(":")),
    "package.module:name",
)


def import_by_name(name: str) -> Any:
    """Return the object that `package.module:name` names; a `ValueError` says why it cannot."""
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"expected package.module:name; received {name!r}")
    try:
        found = importlib.import_module(module)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"{name}: the module cannot be imported: {why}") from error
    if not hasattr(found, attribute):
        raise ValueError(f"{name}: the module {module} has no {attribute!r}")
    return getattr(found, attribute)


def new_model(factory: "str | Callable[[], keras.Model]") -> "keras.Model":
    """Return the compiled model that a function without arguments makes, or a function of that name.

    Raises:
        ValueError: it makes no compiled model; or there is no function of that name.
    """
    import keras

    what = factory if isinstance(factory, str) else "the model function"
    model = _called(what, import_by_name(factory) if isinstance(factory, str) else factory)
    wrong = None
    if not isinstance(model, keras.Model):
        wrong = f"expected a compiled keras.Model; received {type(model).__name__}"
    elif not model.compiled or model.optimizer is None:
        wrong = "expected a compiled model; received one without compile()"
    if wrong:
        raise ValueError(f"{what}: {wrong}")
    return model


def new_callbacks(name: str) -> "list[keras.callbacks.Callback]":
    """Return the callbacks that a function of that name returns.

    Raises:
        ValueError: there is no such function, it fails, or returns something else.
    """
    return listed(_called(name, import_by_name(name)), f"{name}: expected a list of keras callbacks")


def listed(callbacks: Any, expected: str) -> "list[keras.callbacks.Callback]":
    """Return callbacks, or the only one, as a list. A `ValueError` says what was `expected`."""
    import keras

    found = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
    for callback in found:
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(f"{expected}; received {callback!r:.60}")
    return found


def _called(name: str, function: Any) -> Any:
    """Return what the function returns. A `ValueError` says how it failed."""
    if not callable(function):
        raise ValueError(f"{name}: expected a function without arguments; received {function!r:.60}")
    try:
        return function()
    except Exception as error:
        raise ValueError(f"{name}: it raised {type(error).__name__}: {error}") from error
