"""One Keras model, trained by three loops over the same batches, and what there is to see and compare.

Importing this package imports neither Keras nor TensorFlow. Once Keras is imported, before or after,
it knows this package's model, so that `keras.models.load_model` loads a saved one.
"""

import importlib
from typing import Any

import wrapt

__version__ = "0.1.0"

_WHERE = {
    "MLP": "model",
    "MNISTLoader": "data",
    "assert_loops_agree": "comparison",
    "load": "model",
}
"""The public names and the modules they come from, imported at their first use."""

__all__ = ["MLP", "MNISTLoader", "assert_loops_agree", "compare", "load"]


def __getattr__(name: str) -> Any:
    if name == "compare":  # the command's module, which can be called
        return importlib.import_module("kerasmlp.compare")
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"kerasmlp.{_WHERE[name]}"), name)


@wrapt.when_imported("keras")
def _register_model(keras: Any) -> None:
    importlib.import_module("kerasmlp.model")
