import json
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import kerasmlp
from helpers import python, run
from kerasmlp.export import Settings, export, main
from kerasmlp.exporting import formats, parity, runtimes, writers
from kerasmlp.models.quantization import rounded
from small_models import mlp

FILES = {"litert": "model.tflite", "litert-int8": "model-int8.tflite", "onnx": "model.onnx"}
"""Those whose runtimes start faster than TensorFlow."""


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """The folder of exports of a run, and what was measured of each."""
    (run, _), _ = finished
    folder = tmp_path_factory.mktemp("exports")
    reports = export(Settings(run, tuple(FILES), output=folder))
    return folder, {report.format: report for report in reports.values()}


def test_every_export_says_what_the_model_says(exported, finished, digits):
    folder, reports = exported
    (run, _), _ = finished
    probabilities = kerasmlp.load(run)(digits[0] / np.float32(255)).numpy()
    accuracy = np.mean(probabilities.argmax(axis=1) == digits[1])
    assert set(reports) == set(FILES)
    for format, report in reports.items():
        assert (report.images, report.accuracy_of_model) == (40, accuracy)
        if format == "litert-int8":
            assert report.equal_labels >= 0.98
            assert 1e-5 < report.largest_difference < 0.03
        else:
            assert (report.equal_labels, report.accuracy) == (1, accuracy)
            assert report.largest_difference < 1e-5
        path = folder / FILES[format]
        assert report.bytes == len(path.read_bytes())
        assert report.milliseconds_1 > 0
        written = json.loads((folder / f"{path.name}.json").read_text())
        assert written["largest_difference"] == report.largest_difference
    assert {path.name for path in folder.iterdir()} == {
        name for file in FILES.values() for name in (file, f"{file}.json")
    }


def without_this_package(format, path, images, folder):
    """What an export gives in a process that cannot import kerasmlp."""
    np.save(folder / "images.npy", images)
    program = f"""
import runpy, sys
sys.modules["kerasmlp"] = None
sys.argv = ["", "{format}", "{path}", "images.npy", "out.npz"]
runpy.run_path("{runtimes.__file__}", run_name="__main__")
"""
    done = python("-P", "-c", program, cwd=folder)
    assert done.returncode == 0, done.stderr
    return np.load(folder / "out.npz")["probabilities"]


@pytest.mark.thorough
def test_a_savedmodel_runs_in_a_process_without_this_package(finished, digits, tmp_path):
    (run, _), _ = finished
    (path,) = export(Settings(run, ("savedmodel",), output=tmp_path))
    found = without_this_package("savedmodel", path, digits[0], tmp_path)
    expected = kerasmlp.load(run)(digits[0] / np.float32(255))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("format", FILES)
def test_it_runs_in_a_process_without_this_package(format, exported, finished, digits, tmp_path):
    folder, _ = exported
    (run, _), _ = finished
    found = without_this_package(format, folder / FILES[format], digits[0], tmp_path)
    expected = kerasmlp.load(run)(digits[0] / np.float32(255))
    np.testing.assert_allclose(found, expected, atol=0.03 if format == "litert-int8" else 1e-5)


def details(path):
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    return interpreter, interpreter.get_tensor_details(), interpreter._get_ops_details()


def test_the_integer_file_has_no_float_and_no_operation_of_tensorflow(exported):
    folder, _ = exported
    _, tensors, operations = details(folder / FILES["litert-int8"])
    assert {tensor["dtype"] for tensor in tensors} == {np.uint8, np.int8, np.int32}
    assert {"FULLY_CONNECTED", "SOFTMAX"} < {operation["op_name"] for operation in operations}
    for name in ("litert", "litert-int8"):
        _, _, operations = details(folder / FILES[name])
        assert not [operation for operation in operations if "Flex" in operation["op_name"]]


def test_integers_are_those_of_the_training(digits, tmp_path):
    model = mlp("int8")
    run("fit", model, digits)
    writers.write(model, "litert-int8", tmp_path / "x.tflite", None)
    interpreter, tensors, _ = details(tmp_path / "x.tflite")
    (found,) = (tensor for tensor in tensors if tuple(tensor["shape"]) == (8, 36))
    scales = found["quantization_parameters"]["scales"]
    kernel = model.hidden[0].kernel.numpy()
    np.testing.assert_allclose(scales, np.abs(kernel).max(axis=0) / 127, rtol=1e-6)
    integers = interpreter.get_tensor(found["index"])
    np.testing.assert_allclose(integers * scales[:, None], rounded(kernel, 8).numpy().T, atol=1e-7)
    (activations,) = (tensor for tensor in tensors if tuple(tensor["shape"]) == (1, 8))
    scale, zero = activations["quantization"]
    assert (scale * 255, zero) == (pytest.approx(float(model.hidden[0].highest)), -128)


def test_what_differs_is_an_error_and_leaves_no_file(finished, tmp_path, monkeypatch, capsys):
    (run, _), _ = finished
    never = parity.Bound(largest_difference=-1.0, equal_labels=1.0, accuracy_loss=0.0)
    monkeypatch.setattr(parity, "EXACT", never)
    flags = ["--format", "litert-int8", "onnx", "--output", str(tmp_path / "out")]
    assert main([str(run), *flags]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: onnx: expected probabilities within -1 of the model's")
    kept = {path.name for path in (tmp_path / "out").iterdir()}
    assert kept == {"model-int8.tflite", "model-int8.tflite.json"}


def test_parity_sees_what_differs(exported, digits):
    folder, _ = exported
    images, labels = digits
    wrong = np.full((40, 3), [0.5, 0.3, 0.2], np.float32)
    report = parity.measure("onnx", folder / FILES["onnx"], images, labels, wrong)
    assert report.accuracy_of_model == np.mean(labels == 0)
    assert report.equal_labels < 0.6
    assert report.largest_difference > 0.1
    for bound in (parity.EXACT, parity.ROUNDED):
        with pytest.raises(parity.ParityError, match="onnx: expected probabilities within"):
            report.check(bound)


def test_what_does_not_run_is_a_parity_error(digits, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(parity.ParityError, match="expected an export that runs; received: "):
        parity.measure("onnx", tmp_path / "model.onnx", *digits, np.zeros((40, 3), np.float32))


def test_tensorflows_own_formats_take_the_place_of_what_was_there(finished, digits, tmp_path, capsys):
    (run, _), _ = finished
    flags = ["--format", "keras", "savedmodel", "--output", str(tmp_path)]
    (tmp_path / "savedmodel").mkdir()
    Path(tmp_path, "savedmodel", "old").touch()
    assert main([str(run), *flags]) == 0
    assert not Path(tmp_path, "savedmodel", "old").exists()
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
        (["{run}", "--format"], "--format: expected one format or more"),
        (["{run}", "--format", "pb"], "invalid choice 'pb'"),
        (["."], "--format"),
        ([".", "--format", "onnx"], "expected the folder of a finished run; . has no model.keras"),
        (["{run}", "--format", "onnx", "--data", "mnist5k"], "expected images of shape (6, 6, 1)"),
        (["{run}", "--format", "onnx", "--output", sys.executable], "File exists"),
    ],
)
def test_wrong_input_is_one_line(flags, message, finished, capsys):
    (run, _), _ = finished
    assert main([flag.format(run=run) for flag in flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_missing_package_is_named_as_it_is_installed(finished, monkeypatch, capsys):
    (run, _), _ = finished
    monkeypatch.setitem(formats.NEEDS, "onnx", ("tf2onnx", "no-such-runtime"))
    assert main([str(run), "--format", "onnx"]) == 2
    assert "pip install tf2onnx no-such-runtime" in capsys.readouterr().err
