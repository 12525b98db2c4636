"""A finished run, read back: its model, and data of the kind that it was trained on."""

from pathlib import Path

import keras

from kerasmlp import run
from kerasmlp.config import Settings
from kerasmlp.data import MNISTLoader
from kerasmlp.model import load


def read(folder: Path, data: str | None = None) -> tuple[keras.Model, MNISTLoader]:
    """Return the model of the run in `folder`, and the data that it was trained on, or `data`.

    Raises:
        ValueError: there is no model, or it does not fit the data.
        OSError: a file cannot be read.
    """
    model = load(folder)
    loader = MNISTLoader(data or Settings.read(folder / run.SETTINGS).data)
    expected = tuple(model.get_build_config()["input_shape"][1:])
    if loader.image_shape != expected:
        raise ValueError(
            f"--data: expected images of shape {expected}, as the model takes them;"
            f" received {loader.image_shape}"
        )
    return model, loader
