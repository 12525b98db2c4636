"""The trained model of a run in its file: whole, or where Keras cannot save it, its weights."""

import contextlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from kerasmlp.checkpoints import atomic
from kerasmlp.runs import inputs
from kerasmlp.runs.by_name import new_model

WEIGHTS = ".weights.h5"


def save(model: keras.Model, path: Path, include_optimizer: bool = True) -> None:
    """Save `model` to `path`, a `.keras` file. If Keras cannot, save its weights beside, with a note.

    An optimizer that was not used is left out. Where a file has none, Keras' `load_model` makes a new
    one, and warns; `load` does not.

    Raises:
        OSError: the file cannot be written.
    """
    optimizer = model.optimizer
    try:
        if not (include_optimizer and optimizer is not None and optimizer.built):
            model.optimizer = None  # Keras' `include_optimizer` has no effect on a `.keras` file
        with atomic.replacing(path) as part:
            model.save(part)
    except (NotImplementedError, TypeError, ValueError) as error:
        beside = path.with_suffix(WEIGHTS)
        reason = " ".join(str(error).split())[:200]
        print(
            f"note: Keras cannot save this model; its weights are saved: {beside}. Reason: {reason}",
            file=sys.stderr,
        )
        with atomic.replacing(beside) as part:
            model.save_weights(part)
    finally:
        model.optimizer = optimizer


def load(path: Path) -> keras.Model:
    """Return the model in a `.keras` file. No code in the file is run.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no Keras model, or one of classes that are not known here.
    """
    with warnings.catch_warnings(), _value_errors(path):
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
        return keras.models.load_model(path, safe_mode=True)


@contextlib.contextmanager
def _value_errors(path: Path) -> Iterator[None]:
    """Turn errors of Keras into a `ValueError`. On a damaged file, it raises any class."""
    try:
        yield
    except (OSError, ValueError, MemoryError):
        raise
    except TypeError as error:
        reason = str(error).partition("Full object config")[0]
        raise ValueError(f"{path}: {reason}") from error
    except Exception as error:
        raise ValueError(f"{path}: expected a saved Keras model; the file is damaged") from error


def load_into_new(name: str, path: Path, described: Any) -> keras.Model:
    """Return the model that the function `name` makes, with the weights that were saved at `path`.

    Args:
        described: what `inputs.described` returned for its inputs.

    Raises:
        ValueError: the function makes no model, or another one.
    """
    model = new_model(name)
    if not model.built:
        model(inputs.symbolic(described))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    file = path if path.is_file() else path.with_suffix(WEIGHTS)
    with _value_errors(file):
        model.load_weights(file)
    return model
