import dataclasses
import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import export_models
import fit_models
import kerasmlp
from kerasmlp.export import main
from kerasmlp.exporting import formats, parity
from kerasmlp.runs import Settings
from kerasmlp.train import train

pytestmark = pytest.mark.usefixtures("timed_shortly")


def test_an_export_that_predicts_something_else_is_an_error_and_is_not_kept(
    export_extra, finished, tmp_path, monkeypatch, capsys
):
    (run, _), _ = finished
    impossible = dataclasses.replace(parity.EXACT, largest_difference=-1.0)
    monkeypatch.setattr(parity, "EXACT", impossible)
    flags = ["--format", "litert-int8", "litert", "--output", str(tmp_path / "out")]
    assert main([str(run), *flags]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: litert: expected probabilities within -1 of the model's")
    kept = {path.name for path in (tmp_path / "out").iterdir()}
    assert kept == {"model-int8.tflite", "model-int8.tflite.json"}


def test_an_export_to_keras_replaces_an_older_one(finished, digits, tmp_path, capsys):
    (run, _), _ = finished
    (tmp_path / "model.keras").write_text("old")
    assert main([str(run), "--format", "keras", "--output", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert err == "keras: exporting and checking\n"
    assert f"written: {tmp_path / 'model.keras'}" in out
    report = json.loads((tmp_path / "model.keras.json").read_text())
    assert report["equal_labels"] == 1
    assert report["largest_difference"] < 1e-6
    assert out.count("100.0%") == 1
    expected = kerasmlp.load(run)(digits[0] / np.float32(255))
    loaded = kerasmlp.load(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(digits[0]), expected, atol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["a[1]", "what?", "st*r"])
def test_a_run_whose_name_is_a_pattern_is_exported(export_extra, name, npz, digits, tmp_path, capfd):
    given = {"batch_size": 8, "epochs": 1, "loop": "eager", "summaries": (), "logdir": tmp_path}
    run, _ = train(Settings(data=str(npz), name=name, **given))
    for _ in range(2):  # the second replaces the first
        assert main([str(run), "--format", "savedmodel", "onnx"]) == 0
    path = run / "export/savedmodel"
    assert f"note: {path}: TensorFlow loads no SavedModel from a path with" in capfd.readouterr().err
    assert written(path.parent) == {"savedmodel", "savedmodel.json", "model.onnx", "model.onnx.json"}
    serve = tf.saved_model.load(path.rename(tmp_path / "plain")).signatures["serve"]
    (found,) = serve(images=tf.constant(digits[0])).values()
    expected = kerasmlp.load(run)(digits[0] / np.float32(255))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    "flags, message",
    [
        (["{run}"], "--format"),
        (["{run}", "--format"], "--format: expected one format or several"),
        (["{run}", "--format", "pb"], "--format: expected one of 'keras', 'savedmodel'"),
        (["."], "--format"),
        ([".", "--format", "savedmodel"], "expected the folder of a finished run; . has no model.keras"),
        (["{run}", "--format", "savedmodel", "--data", "mnist5k"], "expected images of shape (6, 6, 1)"),
        (["{run}", "--format", "savedmodel", "--output", sys.executable], "File exists"),
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


def exported(folder, name, data, formats):
    """The run, its model, and the folder of its exports; the exit status of the command."""
    keras.utils.set_random_seed(1)
    run = export_models.run(folder, name, data)
    status = main([str(run), "--format", *formats, "--output", str(folder / "out")])
    return kerasmlp.load(run), folder / "out", status


def of_onnx(path, **inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def of_litert(path, **inputs):
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path)).get_signature_runner()(**inputs)


def written(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.thorough
def test_two_inputs_and_outputs_have_their_names_in_every_other_format(export_extra, tmp_path):
    _, _, arguments = fit_models.two()
    x = {name: array.astype(np.float32) for name, array in arguments["x"].items()}
    formats = ["savedmodel", "litert", "litert-int8", "onnx"]
    (tmp_path / "out/savedmodel").mkdir(parents=True)
    (tmp_path / "out/savedmodel/old").touch()
    model, out, status = exported(tmp_path, "two", {"x": x, "y": arguments["y"]}, formats)
    assert status == 0
    assert not (out / "savedmodel/old").exists()
    expected = model.predict(x, verbose=0)
    served = tf.saved_model.load(out / "savedmodel")
    found = {
        "savedmodel": served.signatures["serve"](**{key: tf.constant(x[key]) for key in x}),
        "litert": of_litert(out / "model.tflite", **x),
        "litert-int8": of_litert(out / "model-int8.tflite", **x),
        "onnx": of_onnx(out / "model.onnx", **x),
    }
    for format, outputs in found.items():
        assert set(outputs) == {"number", "class"}
        for name, array in expected.items():
            allowed = 0.03 if format == "litert-int8" else 1e-5
            np.testing.assert_allclose(outputs[name], array, atol=allowed, err_msg=format)
    assert np.abs(found["litert-int8"]["class"] - expected["class"]).max() > 1e-5


@pytest.mark.thorough
def test_a_regression_has_no_labels_and_no_accuracy(export_extra, tmp_path, capsys):
    x = np.random.default_rng(3).normal(size=(50, 5)).astype(np.float32)
    model, out, status = exported(tmp_path, "table", {"x": x, "y": x.sum(axis=1)}, ["litert", "onnx"])
    assert status == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if "litert" in line or "onnx" in line]
    assert [row.count(" - ") for row in rows[:2]] == [2, 2]
    report = json.loads((out / "model.onnx.json").read_text())
    assert report["largest_difference"] < 1e-5
    assert report["accuracy"] is None
    expected = model.predict(x, verbose=0)
    for outputs in (of_onnx(out / "model.onnx", x=x), of_litert(out / "model.tflite", x=x)):
        (found,) = outputs.values()
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.thorough
def test_images_are_taken_as_bytes_and_logits_are_returned(export_extra, digits, tmp_path):
    images, labels = digits
    formats = ["litert", "litert-int8"]
    model, out, status = exported(tmp_path, "images", {"x": images, "y": labels}, formats)
    assert status == 0
    expected = model.predict(images / np.float32(255), verbose=0)
    for name, allowed in (("model", 1e-5), ("model-int8", 0.05)):
        (found,) = of_litert(out / f"{name}.tflite", images=images).values()
        np.testing.assert_allclose(found, expected, atol=allowed)
        report = json.loads((out / f"{name}.tflite.json").read_text())
        accuracy = np.mean(expected.argmax(axis=1) == labels)
        assert (report["examples"], report["accuracy_of_model"]) == (40, accuracy)


@pytest.mark.thorough
def test_a_loop_in_litert_takes_one_example_and_no_integers(export_extra, tmp_path, capsys):
    _, _, data = fit_models.text()
    formats = ["litert", "litert-int8", "onnx"]
    model, out, status = exported(tmp_path, "recurrent", data, formats)
    assert status == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: litert-int8: this format cannot hold the model: LiteRT cannot find")
    assert written(out) == {"model.tflite", "model.tflite.json"}
    (found,) = of_litert(out / "model.tflite", x=data["x"][:1]).values()
    np.testing.assert_allclose(found, model.predict(data["x"][:1], verbose=0), atol=1e-6)


@pytest.mark.thorough
def test_what_a_format_lacks_is_one_line_of_error(export_extra, tmp_path, capsys):
    words = {"x": np.array(["good", "bad", "good bad", "bad good"]), "y": np.arange(4.0)}
    model, out, status = exported(tmp_path, "words", words, ["savedmodel", "litert"])
    assert status == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: litert: this format cannot hold the model: it has no operation Stri")
    assert written(out) == {"savedmodel", "savedmodel.json"}
    serve = tf.saved_model.load(out / "savedmodel").signatures["serve"]
    (found,) = serve(x=tf.constant(words["x"])).values()
    np.testing.assert_allclose(found, model.predict(tf.constant(words["x"]), verbose=0), atol=1e-6)


def test_a_model_that_keras_cannot_save_is_exported_but_to_keras(export_extra, tmp_path, capsys):
    x = np.random.default_rng(3).normal(size=(20, 4)).astype(np.float32)
    model, out, status = exported(tmp_path, "unsavable", {"x": x, "y": x[:, 0]}, ["onnx", "keras"])
    assert status == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: keras: this format cannot hold the model: Object Unsavable was")
    assert written(out) == {"model.onnx", "model.onnx.json"}
    (found,) = of_onnx(out / "model.onnx", x=x).values()
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-6)


def test_a_run_of_fit_is_exported_on_the_data_that_are_given(export_extra, tmp_path, capsys):
    model, arguments = fit_models.compiled("table")
    x = arguments["x"].astype(np.float32)
    kerasmlp.fit(model, **arguments, run=tmp_path / "run", verbose=0)
    command = [str(tmp_path / "run"), "--format", "onnx"]
    assert main(command) == 2
    assert "--data: expected an .npz file with x_train, y_train" in capsys.readouterr().err
    np.savez(
        tmp_path / "other.npz",
        **{f"{part}_{of}": x[:, :, None] for part in "xy" for of in ("train", "test")},
    )
    assert main([*command, "--data", str(tmp_path / "other.npz")]) == 2
    assert "trained on, float32 [5]; " in capsys.readouterr().err
    ends = "train", "test"
    np.savez(
        tmp_path / "same.npz", **{f"x_{of}": x for of in ends}, **{f"y_{of}": x[:, 0] for of in ends}
    )
    assert main([*command, "--data", str(tmp_path / "same.npz")]) == 0
    (found,) = of_onnx(tmp_path / "run/export/model.onnx", x=x).values()
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)
