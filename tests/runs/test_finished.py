import json
import types

import numpy as np
import pytest

from kerasmlp.data.loader import MNISTLoader
from kerasmlp.runs import finished as module, load, load_with_data
from kerasmlp.runs.finished import model_function
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


@pytest.fixture
def reads(tmp_path, monkeypatch):
    """Reads a run of images with some settings back; returns how its data was read."""
    read = []
    found = types.SimpleNamespace(image_shape=(6, 6, 1), name="found", are_images=True)
    images = np.zeros((3, 6, 6, 1), np.uint8)
    found.test = types.SimpleNamespace(padded=(images, None, None))
    model = types.SimpleNamespace(get_build_config=lambda: {"input_shape": (None, 6, 6, 1)})
    monkeypatch.setattr(module, "load", lambda folder: model)
    monkeypatch.setattr(module, "read_source", lambda *given: read.append(given) or found)
    of_any = types.SimpleNamespace(read=lambda path: read.append(path) or found)
    monkeypatch.setattr(module.AnyArrays, "read", of_any.read)

    def reads(settings, *given, shape=(6, 6, 1), inputs=None):
        found.image_shape = shape
        if settings is not None:
            (tmp_path / "config.json").write_text(json.dumps(settings))
        metrics = {"dataset": "of_run.npz", **({} if inputs is None else {"inputs": inputs})}
        (tmp_path / "metrics.json").write_text(json.dumps(metrics))
        assert load_with_data(tmp_path, *given) == (model, found)
        (how,) = read
        return how

    return reads


@pytest.mark.parametrize(
    "settings, given, how",
    [
        ({"data": "auto"}, (), ("of_run.npz", False, False)),
        ({"data": "auto", "transpose": False}, (), ("of_run.npz", False, False)),
        ({"data": "auto", "transpose": True}, (), ("of_run.npz", False, True)),
        ({"data": "auto", "transpose": True}, (None, True), ("of_run.npz", False, True)),
        ({"data": "auto", "transpose": True}, ("other.npz",), ("other.npz", False, False)),
        ({"data": "auto"}, ("other.npz", True), ("other.npz", False, True)),
        ({"data": "auto", "model": "mine:make"}, (), ("of_run.npz", True, False)),
        ({"epochs": 1}, ("mnist5k",), ("mnist5k", False, False)),
        (None, (), ("of_run.npz", False, False)),
    ],
)
def test_data_are_read_as_the_run_read_them_or_as_asked(settings, given, how, reads):
    assert reads(settings, *given) == how


def test_data_of_a_run_of_fit_are_as_they_are(reads):
    assert str(reads({"epochs": 1}, "other.npz")) == "other.npz"


@pytest.mark.parametrize(
    "settings, given, message",
    [
        ({"data": "auto"}, (None, True), r"^transpose: expected --data beside it: .*; received True$"),
        ({"epochs": 1}, (), r"^--data: expected an .npz file .* is a run of kerasmlp.fit"),
        (
            {"epochs": 1},
            ("x.npz", True),
            r"^transpose: expected False for a run of kerasmlp.fit.*received True$",
        ),
    ],
)
def test_data_that_are_not_known_are_asked_for(settings, given, message, reads):
    with pytest.raises(ValueError, match=message):
        reads(settings, *given)


def test_data_of_another_shape_are_refused(reads):
    message = r"^--data: expected images of shape \(6, 6, 1\), .*; received \(6, 7, 1\)"
    with pytest.raises(ValueError, match=message):
        reads({"data": "auto"}, "x.npz", shape=(6, 7, 1))


def test_inputs_of_a_model_of_the_user_are_compared_with_those_of_its_training(reads):
    own = {"data": "x", "model": "mine:make"}
    with pytest.raises(
        ValueError, match=r"^--data: expected inputs .*, int64 \[2\]; found has float32 \[6, 6"
    ):
        reads(own, inputs="int64 [2]")


def test_inputs_that_are_scaled_are_numbers_with_a_fraction(reads):
    assert reads({"data": "x", "model": "mine:make"}, inputs="float32 [6, 6, 1]")[1]


def test_a_run_names_its_model_function(tmp_path):
    assert model_function(tmp_path) is None
    for content, name in (("{", None), ("{}", None), ('{"model": "mine:make"}', "mine:make")):
        (tmp_path / "config.json").write_text(content)
        assert model_function(tmp_path) == name
