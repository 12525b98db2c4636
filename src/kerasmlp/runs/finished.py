"""A finished run, read back: its model, and the data that it was trained on."""

import contextlib
import json
from os import PathLike
from pathlib import Path
from typing import Any

import keras

from kerasmlp.data import AnyArrays, Source, read_source
from kerasmlp.runs import inputs, run_folder, saved_model
from kerasmlp.runs.fields import SettingError


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
    if not file.exists():
        expected = "expected the folder of a run, or a .keras file"
        raise FileNotFoundError(
            f"{expected}; {path} does not exist; kerasmlp list shows the runs in logs"
        )
    if file.is_dir():
        folder, file = file, file / run_folder.MODEL
        name = model_function(folder)
        has_weights = file.with_suffix(saved_model.WEIGHTS).is_file()
        if not file.is_file() and has_weights and name is None:
            raise FileNotFoundError(
                f"{folder}: Keras could not save this model, so that the run has only its weights,"
                f" {run_folder.MODEL.removesuffix('.keras')}{saved_model.WEIGHTS}; make the model again,"
                " and call its load_weights"
            )
        if not file.is_file() and not has_weights:
            expected = "expected the folder of a finished run"
            raise FileNotFoundError(f"{expected}; {path} has no {run_folder.MODEL}")
        if name is not None:
            return saved_model.load_into_new(name, file, _metrics(folder)["inputs"])
    return saved_model.load(file)


def model_function(folder: Path) -> str | None:
    """Return the `--model` of a run; None for the MLP, and for `kerasmlp.fit`."""
    return _settings(folder).get("model")


def load_with_data(
    folder: Path, data: str | None = None, transpose: bool = False
) -> tuple[keras.Model, Source]:
    """Return the model of the run in `folder`, and its data.

    Args:
        folder: the run folder.
        data: other data, as `--data` takes it. None for the data that the run was trained on, read as
            then.
        transpose: whether rows and columns of the other images change places.

    Raises:
        ValueError: there is no model, or it does not fit the data; or a run of `kerasmlp.fit`, which
            does not know its data by name, is given none; or `transpose` without other data.
        OSError: a file cannot be read.
    """
    model = load(folder)
    metrics, settings = _metrics(folder), _settings(folder)
    if data is None:
        transposed = bool(settings.get("transpose", False))
        if transpose and not transposed:
            raise SettingError("transpose", "--data beside it: a run reads its own data as before", True)
        transpose = transposed
    # Where `auto` was asked for, it is what was found then.
    name = data or str(metrics["dataset"])
    is_of_fit = bool(settings) and "data" not in settings
    if is_of_fit and data is None:
        raise ValueError(
            f"--data: expected an .npz file with x_train, y_train, x_test and y_test, as kerasmlp.fit"
            f" takes them; {folder} is a run of kerasmlp.fit, which does not keep its data"
        )
    if is_of_fit and transpose:
        raise SettingError("transpose", "False for a run of kerasmlp.fit, which changes no array", True)
    if is_of_fit and Path(name).suffix == ".npz":
        found: Source = AnyArrays.read(Path(name))  # nothing was scaled
    else:
        found = read_source(name, settings.get("model") is not None, transpose)
    if settings.get("model") is not None or isinstance(found, AnyArrays):
        inputs.check(metrics["inputs"], found)
        return model, found
    expected = tuple(model.get_build_config()["input_shape"][1:])
    if found.image_shape != expected:
        what = f"--data: expected images of shape {expected}, as the model takes them"
        raise ValueError(f"{what}; received {found.image_shape}")
    return model, found


def _settings(folder: Path) -> dict[str, Any]:
    """Return the settings of a run; none if there is no file of them, or a damaged one."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return dict(json.loads((folder / run_folder.SETTINGS).read_bytes()))
    return {}


def _metrics(folder: Path) -> dict[str, Any]:
    """Return the metrics of a finished run. Raise a `ValueError` if the file is damaged."""
    path = folder / run_folder.METRICS
    content = path.read_bytes()
    try:
        found: dict[str, Any] = json.loads(content)
        return {"inputs": None, "dataset": found["dataset"], **found}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: expected the metrics of a run") from error
