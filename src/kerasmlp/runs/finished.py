"""A finished run, read back: its model, and the data that it was trained on."""

import json
from os import PathLike
from pathlib import Path

import keras

from kerasmlp.data import MNISTLoader
from kerasmlp.runs import run_folder


def load(path: str | PathLike[str]) -> keras.Model:
    """Return the model of a finished run. No code in the file is run.

    Args:
        path: the run folder, or a `.keras` file. The model is compiled if the saved one was.

    Raises:
        FileNotFoundError: the folder has no model, since the run has not ended.
        ValueError: the file is not a saved Keras model.
    """
    file = Path(path)
    if file.is_dir():
        file /= run_folder.MODEL
        if not file.is_file():
            expected = "expected the folder of a finished run"
            raise FileNotFoundError(f"{expected}; {path} has no {run_folder.MODEL}")
    return keras.models.load_model(file, safe_mode=True)


def load_with_data(folder: Path, data: str | None = None) -> tuple[keras.Model, MNISTLoader]:
    """Return the model of the run in `folder`, and its data.

    Args:
        folder: the run folder.
        data: other data, as `--data` takes it. None for the data that the run was trained on.

    Raises:
        ValueError: there is no model, or it does not fit the data.
        OSError: a file cannot be read.
    """
    model = load(folder)
    loader = MNISTLoader(data or _dataset(folder / run_folder.METRICS))
    expected = tuple(model.get_build_config()["input_shape"][1:])
    if loader.image_shape != expected:
        what = f"--data: expected images of shape {expected}, as the model takes them"
        raise ValueError(f"{what}; received {loader.image_shape}")
    return model, loader


def _dataset(metrics: Path) -> str:
    """Return the data that a run was trained on. Where `auto` was asked for: what was found then."""
    content = metrics.read_bytes()
    try:
        return str(json.loads(content)["dataset"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{metrics}: expected the metrics of a run") from error
