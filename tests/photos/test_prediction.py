"""What is predicted of which images, and what is said of those that cannot be read."""

import io

import keras
import numpy as np
import pytest

from kerasmlp.models.mlp import MLP
from kerasmlp.photos import find, prepared, read
from kerasmlp.photos.prediction import predict
from photographs import file, plain_seven, sevens
from small_models import Loud


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    model = MLP()
    model.build((None, 28, 28, 1))
    return model


def test_a_model_of_colour_images_is_an_error(tmp_path):
    model = MLP()
    model.build((None, 8, 8, 3))
    with pytest.raises(ValueError, match=r"expected a model of grey images; .*\(8, 8, 3\)"):
        predict(model, [str(tmp_path)])


def test_a_model_of_a_table_is_an_error():
    table = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"expected a model of grey images; .*\(1,\)"):
        predict(table, [])


def test_a_folder_without_images_is_an_error(model, tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match="expected a folder with images"):
        predict(model, [str(tmp_path)])


def test_a_prediction_has_the_three_most_probable_classes_and_what_the_model_saw(model):
    ((prediction,), errors) = predict(model, [file(plain_seven())])
    (found,) = find(read(file(plain_seven())))
    (digit,) = prediction.digits
    assert (prediction.image, errors) == ("-", [])
    assert (digit.box, digit.note) == (found.box, "")
    assert np.array_equal(digit.seen, prepared(found, 28, 28))
    (probabilities,) = model(digit.seen[None] / np.float32(255)).numpy()
    best = sorted(range(10), key=lambda label: -probabilities[label])[:3]
    assert [label for label, _ in digit.predictions] == best
    assert [share for _, share in digit.predictions] == pytest.approx(probabilities[best], rel=1e-5)


def test_a_model_is_not_trained_by_a_prediction():
    pixels = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), Loud()])
    ((prediction,), _) = predict(pixels, [file(plain_seven())])
    (digit,) = prediction.digits
    label, share = digit.predictions[0]
    assert (digit.seen.ravel()[label], share) == (255, 1)


def test_digits_are_predicted_from_left_to_right_and_a_pair_is_noted(model):
    apart, touching = predict(model, [file(sevens(110)), file(sevens(66))])[0]
    first, second = apart.digits
    assert first.box[2] < second.box[0]
    assert first.note == second.note == ""
    (pair,) = touching.digits
    assert pair.note == "it is wider than it is high; if two digits touch, write them apart"


@pytest.mark.parametrize("side, shown", [(200, 200), (480, 240)])
def test_the_picture_is_a_copy_of_at_most_240_pixels(side, shown, model):
    ((prediction,), _) = predict(model, [file(plain_seven(side=side))])
    assert (prediction.picture.shape, prediction.picture.dtype) == ((shown, shown), np.uint8)
    assert (prediction.picture.max(), prediction.picture.min()) == (230, 20)


def test_the_images_of_a_folder_are_predicted_in_the_order_of_their_names(model, tmp_path):
    for name in ("b.PNG", "c.jpeg", "a.png"):
        (tmp_path / name).write_bytes(file(plain_seven()).getvalue())
    (tmp_path / "notes.txt").touch()
    predictions, errors = predict(model, [str(tmp_path), str(tmp_path / "b.PNG")])
    names = [f"{tmp_path}/{name}" for name in ("a.png", "b.PNG", "c.jpeg", "b.PNG")]
    assert ([each.image for each in predictions], errors) == (names, [])


def test_an_image_on_standard_input_is_a_line(model, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file(plain_seven())))
    assert [each.image for each in predict(model, ["-"])[0]] == ["-"]


@pytest.mark.parametrize("count, said", [(10, ""), (11, "reading 11 images\n")])
def test_more_than_ten_images_are_counted_and_what_is_wrong_is_named(
    count, said, model, tmp_path, capsys
):
    (tmp_path / "text.png").write_text("a digit")
    names = [str(tmp_path / "none.png")] * (count - 1) + [str(tmp_path / "text.png")]
    predictions, errors = predict(model, names)
    assert (predictions, len(errors)) == ([], count)
    assert isinstance(errors[0], FileNotFoundError) and errors[0].filename == names[0]
    assert str(errors[-1]).startswith(f"{tmp_path}/text.png: expected an image file")
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("count", [1, 2, 11])
def test_on_a_terminal_a_line_shows_how_far_it_is_and_goes_away(
    count, model, tmp_path, terminal, capsys
):
    predict(model, [str(tmp_path / "none.png")] * count)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("reading" in err) == (count > 1)
    assert "images" not in err
    if count > 1:
        assert err.endswith("\x1b[2K")  # the line is erased
