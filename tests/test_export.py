import dataclasses
import json
import sys

import numpy as np
import pytest

import kerasmlp
from kerasmlp.export import main
from kerasmlp.exporting import formats, parity


def test_an_export_that_predicts_something_else_is_an_error(finished, tmp_path, monkeypatch, capsys):
    (run, _), _ = finished
    impossible = dataclasses.replace(parity.EXACT, largest_difference=-1.0)
    monkeypatch.setattr(parity, "EXACT", impossible)
    flags = ["--format", "litert-int8", "onnx", "--output", str(tmp_path / "out")]
    assert main([str(run), *flags]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: onnx: expected probabilities within -1 of the model's")
    kept = {path.name for path in (tmp_path / "out").iterdir()}
    assert kept == {"model-int8.tflite", "model-int8.tflite.json"}


def test_exports_of_tensorflow_replace_older_exports(finished, digits, tmp_path, capsys):
    (run, _), _ = finished
    flags = ["--format", "keras", "savedmodel", "--output", str(tmp_path)]
    (tmp_path / "savedmodel").mkdir()
    (tmp_path / "savedmodel" / "old").touch()
    assert main([str(run), *flags]) == 0
    assert not (tmp_path / "savedmodel" / "old").exists()
    out = capsys.readouterr().out
    for name in ("model.keras", "savedmodel"):
        assert f"written: {tmp_path / name}" in out
        report = json.loads((tmp_path / f"{name}.json").read_text())
        assert report["equal_labels"] == 1
        assert report["largest_difference"] < 1e-6
    assert out.count("100.0%") == 2
    expected = kerasmlp.load(run)(digits[0] / np.float32(255))
    loaded = kerasmlp.load(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(digits[0]), expected, atol=1e-6)


@pytest.mark.parametrize(
    "flags, message",
    [
        (["{run}"], "--format"),
        (["{run}", "--format"], "--format: expected one format or several"),
        (["{run}", "--format", "pb"], "invalid choice 'pb'"),
        (["."], "--format"),
        ([".", "--format", "onnx"], "expected the folder of a finished run; . has no model.keras"),
        (["{run}", "--format", "onnx", "--data", "mnist5k"], "expected images of shape (6, 6, 1)"),
        (["{run}", "--format", "onnx", "--output", sys.executable], "File exists"),
    ],
)
def test_wrong_input_is_one_line_of_error(flags, message, finished, capsys):
    (run, _), _ = finished
    assert main([flag.format(run=run) for flag in flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_missing_package_is_one_line_of_error(finished, monkeypatch, capsys):
    (run, _), _ = finished
    monkeypatch.setitem(formats.PACKAGES, "onnx", ("tf2onnx", "no-such-runtime"))
    assert main([str(run), "--format", "onnx"]) == 2
    error = capsys.readouterr().err
    assert "pip install tf2onnx no-such-runtime" in error
    assert len(error.splitlines()) == 1
