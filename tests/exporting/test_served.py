"""The examples that an export is checked on, and what it takes."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from export_models import run
from kerasmlp.exporting import Served


def other_data(tmp_path, count):
    """Images of 6 x 6, and the path of their file."""
    random = np.random.default_rng(0)
    arrays = {
        f"x_{part}": random.integers(0, 256, (count, 6, 6), np.uint8) for part in ("train", "test")
    }
    labels = {f"y_{part}": np.arange(count) % 3 for part in ("train", "test")}
    np.savez(tmp_path / "other.npz", **arrays, **labels)
    return arrays, str(tmp_path / "other.npz")


def test_the_examples_of_a_run_are_those_that_it_was_trained_and_tested_on(served, finished, digits):
    (folder, _), data = finished
    assert np.array_equal(served.x, digits[0]) and np.array_equal(served.training_x, digits[0])
    assert np.array_equal(served.labels, digits[1])
    assert (served.run, served.data, served.module) == (folder.name, str(data), None)
    assert (served.takes_bytes, served.is_handbooks, served.examples) == (True, True, 40)


@pytest.mark.parametrize("transpose", [False, True])
def test_a_thousand_examples_of_other_data_are_taken(transpose, finished, tmp_path):
    (folder, _), _ = finished
    arrays, path = other_data(tmp_path, 1010)
    served = Served.of_run(folder, path, transpose)
    for found, part in ((served.x, "test"), (served.training_x, "train")):
        expected = arrays[f"x_{part}"][:1000]
        expected = expected.transpose(0, 2, 1) if transpose else expected
        assert np.array_equal(found[..., 0], expected)
    assert (served.data, served.examples, len(served.labels)) == (path, 1000, 1000)


def test_a_run_of_a_function_has_its_module_and_no_labels_of_numbers(tmp_path, monkeypatch):
    x = np.random.default_rng(3).normal(size=(20, 5)).astype(np.float32)
    folder = run(tmp_path, "table", {"x": x, "y": x.sum(axis=1)})
    monkeypatch.chdir(folder)
    served = Served.of_run(Path())
    assert (served.module, served.labels, served.run) == ("export_models", None, "run")
    assert (served.takes_bytes, served.is_handbooks) == (False, False)


def test_a_model_that_is_not_the_handbooks_is_none(served):
    other = keras.Sequential([keras.Input((6, 6, 1))])
    assert not dataclasses.replace(served, model=other).is_handbooks
    assert not dataclasses.replace(served, takes_bytes=False).is_handbooks


def test_inputs_have_names_that_tensorflow_takes(served):
    x = np.zeros(2)
    assert list(served.by_name(x)) == ["images"]
    assert list(dataclasses.replace(served, takes_bytes=False).by_name(x)) == ["x"]
    assert list(served.by_name({"a b": x, "c_1": x})) == ["a_b", "c_1"]


def test_probabilities_are_those_of_the_first_output(served):
    first, second = np.eye(3), np.zeros((3, 3))
    assert served.probabilities([first, second]) is first


def test_what_is_served_takes_bytes_and_scales_them(served):
    serving = served.serving(served.model, 4, training=False)
    (taken,) = serving.inputs
    assert serving.name == "served"  # in each process the same
    assert (taken.name, taken.shape, taken.dtype) == ("images", (4, 6, 6, 1), "uint8")
    found = serving(served.x[:4]).numpy()
    np.testing.assert_allclose(found, served.outputs[0][:4], atol=1e-6)
    assert served.serving(served.model).inputs[0].shape == (None, 6, 6, 1)


def test_what_is_served_takes_inputs_by_name_as_they_are(served):
    class Sum(keras.Model):
        def call(self, x):
            return sum(
                keras.ops.sum(keras.ops.cast(each, "float32"), axis=1) for each in (x["a b"], x["c"])
            )

    x = {"a b": np.full((5, 2), 0.5, np.float32), "c": np.ones((5, 3), np.int32)}
    serving = dataclasses.replace(served, x=x, takes_bytes=False).serving(Sum())
    assert {each.name: each.dtype for each in serving.inputs} == {"a_b": "float32", "c": "int32"}
    assert serving(x).numpy().tolist() == [4] * 5
