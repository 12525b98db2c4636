"""The trained model of a run in its file: whole, or where Keras cannot save it, its weights."""

import json
import sys
from pathlib import Path
from typing import Any

import keras

from kerasmlp.checkpoints import atomic
from kerasmlp.runs.by_name import new_model

WEIGHTS = ".weights.h5"


def save(model: keras.Model, path: Path, **options: Any) -> None:
    """Save `model` to `path`, a `.keras` file. If Keras cannot, save its weights beside, with a note.

    Raises:
        OSError: the file cannot be written.
    """
    try:
        with atomic.replacing(path) as part:
            model.save(part, **options)
    except (NotImplementedError, TypeError, ValueError) as error:
        beside = path.with_suffix(WEIGHTS)
        reason = " ".join(str(error).split())[:200]
        print(
            f"note: Keras cannot save this model; its weights are saved: {beside}. Reason: {reason}",
            file=sys.stderr,
        )
        with atomic.replacing(beside) as part:
            model.save_weights(part)


def described(inputs: Any) -> Any:
    """Return the specification of a batch of inputs, in any structure, as JSON can hold it."""
    return keras.tree.map_structure(lambda part: f"{part.dtype.name} {list(part.shape)[1:]}", inputs)


def load_into_new(name: str, path: Path, inputs: Any) -> keras.Model:
    """Return the model that the function `name` makes, with the weights that were saved at `path`.

    Args:
        inputs: what `described` returned for its inputs.

    Raises:
        ValueError: the function makes no model, or another one.
    """
    model = new_model(name)
    if not model.built:
        model(keras.tree.map_structure(_symbolic, inputs))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    model.load_weights(path if path.is_file() else path.with_suffix(WEIGHTS))
    return model


def _symbolic(described: str) -> keras.KerasTensor:
    """Return a batch of inputs that has no values."""
    dtype, _, shape = described.partition(" ")
    return keras.KerasTensor((None, *json.loads(shape.replace("None", "null"))), dtype)
