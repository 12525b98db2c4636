"""One Keras model, trained by three loops over the same batches; and what the loops cost.

Importing this package imports neither Keras nor TensorFlow, but in a notebook: the public names are
imported when they are first used.
"""

import importlib
import sys
from typing import Any

import lazy_loader
import wrapt

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


if "ipykernel" in sys.modules and "keras" not in sys.modules:
    # In a notebook, what TensorFlow logs while it is imported would be red.
    from kerasmlp import cli

    with cli.quiet(verbose=False):
        importlib.import_module("keras")


@wrapt.when_imported("keras")
def _register_model(keras: Any) -> None:
    """Let `keras.models.load_model` know this package's model as soon as Keras is imported.

    Without this hook, importing the package would have to import Keras: 2.4 s instead of 0.05 s.
    """
    importlib.import_module("kerasmlp.models.mlp")
