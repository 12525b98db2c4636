"""A finished run, read back: its model, and data of the kind that it was trained on."""

import json
from pathlib import Path

import keras

from kerasmlp import run
from kerasmlp.data import MNISTLoader
from kerasmlp.model import load


def read(folder: Path, data: str | None = None) -> tuple[keras.Model, MNISTLoader]:
    """Return the model of the run in `folder`, and the data that it was trained on, or `data`.

    Raises:
        ValueError: there is no model, or it does not fit the data.
        OSError: a file cannot be read.
    """
    model = load(folder)
    loader = MNISTLoader(data or _dataset(folder / run.METRICS))
    expected = tuple(model.get_build_config()["input_shape"][1:])
    if loader.image_shape != expected:
        raise ValueError(
            f"--data: expected images of shape {expected}, as the model takes them;"
            f" received {loader.image_shape}"
        )
    return model, loader


def _dataset(metrics: Path) -> str:
    """Return what a run was trained on: under `auto`, what was found then."""
    content = metrics.read_bytes()
    try:
        return str(json.loads(content)["dataset"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{metrics}: expected the metrics of a run") from error
