import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import photographs
from kerasmlp.models.mlp import MLP
from kerasmlp.photos import find, prepared, read
from kerasmlp.photos.prediction import Digit
from kerasmlp.predict import _as_text, main
from kerasmlp.runs.finished import load
from kerasmlp.runs.settings import Settings
from kerasmlp.train import train


@pytest.fixture(scope="module")
def trained(mnist5k, tmp_path_factory):
    """A run folder, trained on 4,000 images."""
    settings = Settings(
        epochs=20, logdir=tmp_path_factory.mktemp("logs"), summaries=(), validation_size=0
    )
    return train(settings, mnist5k)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a photo of each digit, drawn with a pen."""
    path = tmp_path_factory.mktemp("photos")
    for digit in range(10):
        photographs.photo(digit, 2 * digit + 1).save(path / f"{digit}.png")
    (path / "notes.txt").touch()
    return path


def printed(captured):
    """The three most probable classes of each image in the output."""
    lines = [line.rpartition(": ") for line in captured.out.splitlines()]
    return {
        image: [int(part.split()[0].strip("?")) for part in text.split(", ")] for image, _, text in lines
    }


def test_at_least_nine_of_ten_photos_are_predicted_correctly(trained, folder, capsys):
    assert main([str(trained), str(folder)]) == 0
    found = printed(capsys.readouterr())
    assert list(found) == [str(folder / f"{digit}.png") for digit in range(10)]
    assert all(len(set(classes)) == 3 for classes in found.values())
    assert sum(classes[0] == digit for digit, classes in enumerate(found.values())) >= 9


def test_json_and_the_saved_picture_are_the_predictions_of_the_model(trained, folder, tmp_path, capsys):
    names = [str(folder / name) for name in ("3.png", "8.png")]
    assert main([str(trained), *names, "--json", "--show", str(tmp_path / "seen.png")]) == 0
    found = json.loads(capsys.readouterr().out)
    images = np.stack([prepared(find(read(name))[0], 28, 28) for name in names])
    probabilities = load(trained)(images / np.float32(255)).numpy()
    for name, row, item in zip(names, probabilities, found, strict=True):
        assert item["image"] == name
        best = np.argsort(-row)[:3]
        assert [part["class"] for part in item["predictions"]] == best.tolist()
        given = [part["probability"] for part in item["predictions"]]
        np.testing.assert_allclose(given, row[best], rtol=1e-5)
        assert item["digits"] == [{"box": item["digits"][0]["box"], "predictions": item["predictions"]}]
    shown = np.asarray(Image.open(tmp_path / "seen.png"))
    assert shown.shape == (2 * 248 + 8, 1000, 3)
    for row, name in enumerate(names):
        digit = np.asarray(
            Image.fromarray(images[row, ..., 0]).resize((96, 96), Image.Resampling.NEAREST)
        )
        assert np.array_equal(shown[8 + 248 * row :][:96, 256 : 256 + 96, 0], digit), name
        assert (
            (shown[248 * row : 248 * (row + 1), :248] == (255, 0, 0)).all(axis=2)
        ).sum() > 100  # a box


def test_a_number_is_printed_digit_by_digit_and_a_touching_pair_is_noted(trained, tmp_path, capsys):
    photographs.sevens(110).save(tmp_path / "apart.png")
    photographs.sevens(66).save(tmp_path / "touching.png")
    assert main([str(trained), str(tmp_path)]) == 0
    captured = capsys.readouterr()
    line = captured.out.splitlines()[0].removeprefix(f"{tmp_path}/apart.png: ")
    assert line in ("7 7", "7? 7?")
    (note,) = captured.err.splitlines()
    assert note.startswith(f"note: {tmp_path}/touching.png: digit 1: it is wider than it is high")
    assert main([str(trained), str(tmp_path / "apart.png"), "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)
    assert [digit["predictions"][0]["class"] for digit in item["digits"]] == [7, 7]
    assert item["digits"][0]["box"][2] < 0.4 < item["digits"][1]["box"][0]
    assert "predictions" not in item


@pytest.mark.parametrize("share, text", [(0.9, "4 (90.0%)"), (0.89, "4? (89.0%)")])
def test_a_probability_below_ninety_percent_is_marked(share, text):
    seen = np.zeros((28, 28, 1), np.uint8)
    digit = Digit((0, 0, 1, 1), [(4, share), (9, 1 - share)], seen, "")
    assert _as_text([digit]).split(", ")[0] == text
    assert _as_text([digit, digit]) == " ".join([text.split()[0]] * 2)


def test_an_image_is_read_from_standard_input(trained, folder, monkeypatch, capsys):
    content = (folder / "5.png").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert main([str(trained / "model.keras"), "-", str(folder / "5.png")]) == 0
    from_stdin, from_file = capsys.readouterr().out.splitlines()
    assert from_stdin.removeprefix("-") == from_file.removeprefix(str(folder / "5.png"))


def test_an_unreadable_image_is_named_and_the_others_are_predicted(trained, folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "mixed")
    (tmp_path / "mixed/3.png").write_bytes(b"nonsense")
    (tmp_path / "mixed/7.png").write_bytes((folder / "7.png").read_bytes()[:999])
    assert main([str(trained), str(tmp_path / "mixed"), str(tmp_path / "none.png")]) == 2
    captured = capsys.readouterr()
    assert len(printed(captured)) == 8
    progress, *errors = captured.err.splitlines()
    assert progress == "reading 11 images"
    assert [error.split(": ")[:2] for error in errors] == [
        ["error", str(tmp_path / "mixed/3.png")],
        ["error", str(tmp_path / "mixed/7.png")],
        ["error", str(tmp_path / "none.png")],
    ]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["{run}"], "expected one image or more after the run folder"),
        ([".", "{photo}"], "expected the folder of a finished run; . has no model.keras"),
        (["{run}", "{empty}"], "expected a folder with images"),
        (["{run}", "{photo}", "--show", "{empty}/no/such/folder.png"], "No such file or directory"),
    ],
)
def test_wrong_input_is_one_line_of_error(arguments, message, trained, folder, tmp_path, capsys):
    places = {"run": trained, "photo": folder / "1.png", "empty": tmp_path}
    assert main([argument.format(**places) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_model_of_colour_images_is_an_error(tmp_path, folder, capsys):
    model = MLP()
    model.build((None, 8, 8, 3))
    model.save(tmp_path / "model.keras")
    assert main([str(tmp_path), str(folder)]) == 2
    assert "expected a model of grey images" in capsys.readouterr().err
