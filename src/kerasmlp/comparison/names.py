"""Objects by their name, `package.module:name`."""

import importlib
from typing import Any


def import_by_name(name: str) -> Any:
    """Return the object that `package.module:name` names; a `ValueError` says why it cannot."""
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"expected package.module:name; received {name!r}")
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise ValueError(
            f"{name}: the module cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(found, attribute):
        raise ValueError(f"{name}: the module {module} has no {attribute!r}")
    return getattr(found, attribute)
