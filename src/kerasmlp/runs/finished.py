"""A finished run, read back: its model, and the data that it was trained on."""

import contextlib
import json
from os import PathLike
from pathlib import Path
from typing import Any

import keras

from kerasmlp.data import MNISTLoader
from kerasmlp.runs import run_folder, saved_model, source
from kerasmlp.runs.source import Source


def load(path: str | PathLike[str]) -> keras.Model:
    """Return the model of a finished run. No code in the file is run.

    A model that was trained with `--model` is made by its function, and gets the trained weights.

    Args:
        path: the run folder, or a `.keras` file. The model is compiled if the saved one was.

    Raises:
        FileNotFoundError: the folder has no model, since the run has not ended.
        ValueError: the file is not a saved Keras model.
    """
    file = Path(path)
    if file.is_dir():
        file /= run_folder.MODEL
        name = _model_function(Path(path) / run_folder.SETTINGS)
        if not file.is_file() and not (name and file.with_suffix(saved_model.WEIGHTS).is_file()):
            expected = "expected the folder of a finished run"
            raise FileNotFoundError(f"{expected}; {path} has no {run_folder.MODEL}")
        if name is not None:
            inputs = _metrics(Path(path) / run_folder.METRICS)["inputs"]
            return saved_model.load_into_new(name, file, inputs)
    return saved_model.load(file)


def _model_function(settings: Path) -> str | None:
    """Return the `--model` of a run; None for the MLP, and for `kerasmlp.fit`."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return json.loads(settings.read_bytes()).get("model")
    return None


def load_with_data(folder: Path, data: str | None = None) -> tuple[keras.Model, Source]:
    """Return the model of the run in `folder`, and its data.

    Args:
        folder: the run folder.
        data: other data, as `--data` takes it. None for the data that the run was trained on.

    Raises:
        ValueError: there is no model, or it does not fit the data.
        OSError: a file cannot be read.
    """
    model = load(folder)
    # Where `auto` was asked for, it is what was found then.
    name = data or str(_metrics(folder / run_folder.METRICS)["dataset"])
    if _model_function(folder / run_folder.SETTINGS) is not None:
        return model, source.read(name, any_arrays=True)
    loader = MNISTLoader(name)
    expected = tuple(model.get_build_config()["input_shape"][1:])
    if loader.image_shape != expected:
        what = f"--data: expected images of shape {expected}, as the model takes them"
        raise ValueError(f"{what}; received {loader.image_shape}")
    return model, loader


def _metrics(path: Path) -> dict[str, Any]:
    """Return the metrics of a finished run. Raise a `ValueError` if the file is damaged."""
    content = path.read_bytes()
    try:
        found: dict[str, Any] = json.loads(content)
        return {"inputs": None, "dataset": found["dataset"], **found}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: expected the metrics of a run") from error
