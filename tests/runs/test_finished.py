import json

import numpy as np
import pytest

from kerasmlp.data.loader import MNISTLoader
from kerasmlp.runs import load, load_with_data
from kerasmlp.runs.finished import _is_like
from kerasmlp.runs.settings import Settings
from kerasmlp.train import train


def test_a_run_is_read_back_with_the_data_that_it_found(npz, tmp_path):
    """Trained on what `auto` found, where `auto` finds something else today."""
    given = {"batch_size": 8, "epochs": 1, "logdir": tmp_path, "summaries": ()}
    settings = Settings(loop="eager", data="auto", **given)
    found = MNISTLoader(str(npz))
    folder, metrics = train(settings, found)
    model, data = load_with_data(folder)
    assert (data.name, data.fingerprint) == (str(npz), found.fingerprint)
    assert int(model.optimizer.iterations) == metrics["steps"]


def test_a_run_that_knows_nothing_of_transposed_images_has_none(finished, tmp_path):
    """Settings of later versions are missing in a run of an earlier one."""
    (run, _), data = finished
    for name in ("model.keras", "metrics.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    config = json.loads((run / "config.json").read_text())
    del config["transpose"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    _, found = load_with_data(tmp_path)
    assert np.array_equal(found.test_data, MNISTLoader(str(data)).test_data)


def test_a_run_without_a_model_says_what_it_has(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected the folder of a run, .* does not exist"):
        load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"of a finished run; .* has no model\.keras"):
        load(tmp_path)
    (tmp_path / "model.weights.h5").touch()
    with pytest.raises(FileNotFoundError, match="Keras could not save this model, so that the run has"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model": "nowhere_such:model"}))
    with pytest.raises((OSError, ValueError), match=r"metrics\.json"):  # it would be made anew
        load(tmp_path)


@pytest.mark.parametrize(
    "expected, received, is_like",
    [
        ("float32 [None, 6]", "float64 [40, 9]", True),
        ("float32 [None, 6]", "int64 [40, 6]", False),
        ("uint8 [None]", "int64 [40]", True),
        ("float32 [None, 6]", "float32 [40]", False),
        ("float32 [None]", "float32 []", False),
        ({"a": "int64 [None]"}, {"a": "int32 [40]"}, True),
        ({"a": "int64 [None]"}, {"a": "float32 [40]"}, False),
        ({"a": "int64 [None]"}, {"b": "int64 [None]"}, False),
        ({"a": "int64 [None]"}, "int64 [None]", False),
        (["int64 [None]"], {"x": "int64 [None]"}, True),
    ],
)
def test_data_are_like_others_in_names_kinds_of_numbers_and_axes(expected, received, is_like):
    assert _is_like(expected, received) == is_like


@pytest.mark.parametrize("content", ["", "[]", "{}", "null"])
def test_damaged_metrics_are_named(content, finished, tmp_path):
    (run, _), _ = finished
    (tmp_path / "model.keras").write_bytes((run / "model.keras").read_bytes())
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(ValueError, match=r"metrics\.json: expected the metrics of a run"):
        load_with_data(tmp_path)
    (tmp_path / "metrics.json").write_text(json.dumps({"dataset": "nowhere.npz"}))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz"):
        load_with_data(tmp_path)
