import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest

import kerasmlp
from kerasmlp.exporting import checked, runtimes
from kerasmlp.exporting.formats import FILES
from small_models import mlp


def test_every_export_predicts_what_the_model_predicts(exported, finished, digits):
    (folder, _), _ = finished
    probabilities = kerasmlp.load(folder)(digits[0] / np.float32(255)).numpy()
    accuracy = np.mean(probabilities.argmax(axis=1) == digits[1])
    for format, (path, report) in exported.items():
        assert path.name == FILES[format]
        assert (report.format, report.examples, report.accuracy_of_model) == (format, 40, accuracy)
        if format == "litert-int8":
            assert report.equal_labels >= 0.98
            assert 1e-5 < report.largest_difference < 0.03
        else:
            assert (report.equal_labels, report.accuracy) == (1, accuracy)
            assert report.largest_difference < 1e-5
        assert report.bytes == len(path.read_bytes())
        assert report.milliseconds_1 > 0
        written = json.loads(path.with_name(f"{path.name}.json").read_text())
        assert written["largest_difference"] == report.largest_difference


def test_only_the_exports_and_their_reports_are_written(exported):
    files = {FILES[format] for format in exported}
    (output,) = {path.parent for path, _ in exported.values()}
    assert {path.name for path in output.iterdir()} == files | {f"{file}.json" for file in files}


@pytest.fixture
def as_the_model(served, tmp_path, monkeypatch):
    """A runtime that returns what the model predicts, whatever the export."""
    times = {"milliseconds_1": 1.0, "milliseconds_1000": 1.0}
    np.savez(tmp_path / "answer.npz", *served.outputs, **times)
    script = f"import shutil, sys; shutil.copy({str(tmp_path / 'answer.npz')!r}, sys.argv[4])"
    (tmp_path / "runtime.py").write_text(script)
    monkeypatch.setattr(runtimes, "__file__", str(tmp_path / "runtime.py"))


@pytest.mark.parametrize("name, noted", [("plain", False), ("a[1]", True)])
def test_a_savedmodel_in_a_folder_whose_name_is_a_pattern_is_noted(
    name, noted, as_the_model, served, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    output = Path(name)  # the note shows the path as it was given
    output.mkdir()
    (output / "savedmodel").mkdir()
    (output / "savedmodel/old").touch()
    path, report = checked.write_checked(served, "savedmodel", output)
    assert (path, report.equal_labels) == (output / "savedmodel", 1)
    note = f"note: {path}: TensorFlow loads no SavedModel from a path with one of the characters *?[ in"
    assert capsys.readouterr() == ("", f"{note} it; move the folder to load it\n" if noted else "")
    assert {each.name for each in output.iterdir()} == {"savedmodel", "savedmodel.json"}
    found = {each.name for each in path.iterdir()}
    assert "saved_model.pb" in found and "old" not in found


def test_only_a_savedmodel_is_noted(as_the_model, served, tmp_path, capsys):
    output = tmp_path / "a[1]"
    (output / "model.onnx").mkdir(parents=True)  # as if there were an older one, which is a folder
    path, _ = checked.write_checked(served, "onnx", output)
    assert path.is_file() and capsys.readouterr().err == ""
    written = json.loads((output / "model.onnx.json").read_text())
    assert written["data"] == served.data and written["bytes"] == path.stat().st_size
    assert written["versions"]["keras"] == keras.__version__


def test_where_nothing_can_run_it_an_export_is_kept_and_its_size_told(served, tmp_path, monkeypatch):
    (tmp_path / "runtime.py").write_text("import sys; sys.exit(69)")
    monkeypatch.setattr(runtimes, "__file__", str(tmp_path / "runtime.py"))
    path, report = checked.write_checked(served, "onnx", tmp_path)
    assert report == checked.NotChecked("onnx", path.stat().st_size, "")


@pytest.mark.parametrize("name, where", [("plain", "plain"), ("a[1]", None)])
def test_an_export_is_first_written_to_a_path_that_is_plain(name, where, tmp_path):
    output = tmp_path / name
    output.mkdir()
    with checked._plain_folder(output) as folder:
        assert folder.is_dir() and checked._is_plain(folder)
        assert (folder.parent == output) == (where is not None)
        assert folder.name.startswith(".")
    assert not folder.exists()


def test_integers_have_the_wider_bound(served):
    other = dataclasses.replace(served, model=mlp("int8"))
    assert checked._has_integers(served, "litert-int8")
    assert not checked._has_integers(served, "litert")
    assert checked._has_integers(other, "litert")
