"""What `package.module:name` names."""

import importlib
from typing import Any


def imported(name: str) -> Any:
    """Return what `package.module:attribute` names.

    Raises:
        ValueError: it cannot be imported, or is not there.
    """
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
