import io

import numpy as np
import pytest
from PIL import Image

from kerasmlp.tensorboard import pictures


def squares(number, height, width=None, channels=1):
    """Black images of that size."""
    return np.zeros((number, height, width or height, channels), np.uint8)


def middle(part):
    """The row and the column in the middle of what is written in a part of a picture."""
    found = np.argwhere(part.reshape(*part.shape[:2], -1)[..., 0] < 128)
    return (found.min(axis=0) + found.max(axis=0)) / 2


def test_tiles_are_in_rows_and_columns_with_gaps():
    images = np.arange(1, 4, dtype=np.uint8).reshape(3, 1, 1, 1) * np.ones((3, 2, 3, 1), np.uint8)
    picture = pictures.tiles(images, scale=2)
    gap = pictures.GAP
    assert picture.shape == (2 * (4 + gap) + gap, 2 * (6 + gap) + gap)
    places = [(0, 0), (0, 1), (1, 0)]
    for number, (row, column) in enumerate(places, 1):
        y, x = gap + row * (4 + gap), gap + column * (6 + gap)
        assert (picture[y : y + 4, x : x + 6] == number).all()
    expected = 255 * picture.size - 24 * (3 * 255 - 6)
    assert picture.astype(int).sum() == expected  # all other pixels are white


def test_colours_do_not_change():
    images = np.array([[[[10, 20, 30]]]], np.uint8)
    assert pictures.tiles(images)[pictures.GAP, pictures.GAP].tolist() == [10, 20, 30]


def test_captions_are_below_their_images():
    images = np.full((2, 28, 28, 1), 200, np.uint8)
    with_text, without = (pictures.captioned(images, [text, " "]) for text in ("8: 3 98%", " "))
    changed = np.argwhere(with_text != without)
    assert changed[:, 0].min() >= pictures.GAP + 84
    assert changed[:, 1].max() < pictures.GAP + 84
    assert with_text.shape == (4 + 84 + 18 + 4, 2 * (4 + 84) + 4)
    in_colour = pictures.captioned(np.repeat(images, 3, axis=3), ["8: 3 98%", " "])
    assert np.array_equal(in_colour, np.repeat(with_text[..., None], 3, axis=2))
    fewer = pictures.tiles(np.repeat(images, 2, axis=0)[:3], ["8: 3 98%"], scale=3)
    assert np.array_equal(fewer[4:110, 4:92], with_text[4:110, 4:92])
    assert (fewer[88:110, 92:] == 255).all() and (fewer[194:] == 255).all()


@pytest.mark.parametrize(
    "images, enlarged",
    [
        (squares(1, 84), (84, 84)),
        (squares(1, 85), (85, 85)),
        (squares(1, 42), (84, 84)),
        (squares(1, 43), (43, 43)),
        (squares(1, 17), (68, 68)),
        (squares(1, 21, 28), (63, 84)),
        (squares(1, 28, 21), (84, 63)),
        (squares(1, 1, 2, 3), (42, 84)),
    ],
)
def test_a_captioned_image_is_enlarged_by_the_largest_whole_factor(images, enlarged):
    height, width = pictures.captioned(images, ["a"]).shape[:2]
    assert (height - 4 - 18 - 4, width - 4 - 4) == enlarged


def test_many_small_images_are_enlarged_as_one_is():
    assert pictures.captioned(squares(50, 21), ["a"] * 50).shape == (7 * (88 + 18) + 4, 8 * 88 + 4)


def test_images_that_do_not_fit_are_left_out():
    assert pictures.tiles(squares(9, 700)).shape == (708, 708)
    assert pictures.tiles(squares(9, 1100)).shape == (1108, 1108)
    assert pictures.tiles(squares(144, 96)).shape == (1004, 1004)  # 10 rows, each with a gap of 4
    assert pictures.tiles(squares(100, 139)).shape == (6 * 143 + 4,) * 2  # the seventh ends at 1,001
    assert pictures.tiles(squares(3, 10), side=28).shape == (32, 32)
    assert pictures.tiles(squares(3, 10), side=27).shape == (18, 18)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_first_layer_is_light_above_zero_and_dark_below(channels):
    kernel = np.repeat([[5.0, 1], [-1.0, -1], [0.0, 1], [2.0, -1]], channels, axis=0)
    picture = pictures.first_layer(kernel, (2, 2, channels))
    assert picture.ndim == (2 if channels == 1 else 3)
    grey = picture.reshape(*picture.shape[:2], -1)[pictures.GAP :, pictures.GAP :, -1]
    white = 4 * kernel.std()
    expected = [[1 + min(5 / white, 1), 1 - 1 / white], [1, 1 + 2 / white]]
    assert grey[:2, :2].tolist() == np.rint(127.5 * np.array(expected)).tolist()
    clipped = pictures.first_layer(np.array([[1.0, *[0.0] * 100, -1.0]]).T, (102, 1, 1))
    assert clipped[[4, 105], 4].tolist() == [255, 0]


def test_the_first_layer_shows_a_hundred_units():
    picture = pictures.first_layer(np.zeros((1, 101)), (1, 1, 1))
    assert picture.shape == (10 * 5 + 4, 10 * 5 + 4)
    assert (picture[4::5, 4::5] == 128).all()


def test_a_first_layer_of_zeros_is_grey():
    picture = pictures.first_layer(np.zeros((4, 1)), (2, 2, 1))
    assert (picture[pictures.GAP : pictures.GAP + 2, pictures.GAP : pictures.GAP + 2] == 128).all()


def test_the_confusion_matrix_is_blue_for_right_and_red_for_wrong():
    matrix = np.array([[2, 0], [3, 1]])
    picture = pictures.confusion(matrix)
    cell, before = 36, 54
    assert picture.shape == (before + 2 * cell, before + 2 * cell, 3)
    corners = {
        (row, column): picture[before + cell * row, before + cell * column]
        for row, column in np.ndindex(2, 2)
    }
    assert corners[0, 0].tolist() == [0, 102, 255]
    assert corners[0, 1].tolist() == [255, 255, 255]
    share = round(255 * (1 - np.sqrt(0.75)))
    assert corners[1, 0].tolist() == [255, share, share]
    assert corners[1, 1][2] == 255 and corners[1, 1][0] < 255
    # A cell contains the number of examples. It is empty if there are none.
    cells = picture[before:, before:]
    assert (cells[:cell, cell:] == 255).all()
    assert (cells[:cell, :cell] != [0, 102, 255]).any()
    # The axes have titles, and the classes are beside their rows and above their columns.
    for title in (picture[: pictures.LINE], picture[:, : pictures.LINE]):
        assert (title == 0).any()
    for number in range(2):
        at = slice(before + number * cell, before + (number + 1) * cell)
        for label in (picture[at, 18:before], picture[18:before, at]):
            assert middle(label) == pytest.approx((17.5, 17.5), abs=1.5)
    assert middle(cells[cell:, :cell]) == pytest.approx((17.5, 17.5), abs=1.5)
    assert (picture[18:before, 18:before] == 255).all()


def test_a_number_is_white_where_its_cell_is_dark_blue():
    """It is if the share of its row is more than 0.49, of which the root is 0.7."""

    def written(matrix, column=0):
        picture = pictures.confusion(np.array(matrix))
        cell = picture[54:90, 54 + 36 * column : 90 + 36 * column].reshape(-1, 3).tolist()
        return "black" if [0, 0, 0] in cell else "white" if [255, 255, 255] in cell else None

    assert written([[49, 51], [1, 1]]) == "black"
    assert written([[50, 50], [1, 1]]) == "white"
    assert written([[1, 9], [1, 1]], column=1) == "black", "it is red"


def test_a_class_without_examples_has_a_white_row():
    picture = pictures.confusion(np.array([[0, 0], [0, 1]]))
    assert (picture[54:90, 54:] == 255).all()
    assert picture[90, 90].tolist() == [0, 102, 255]


@pytest.mark.parametrize(
    "classes, cell, label", [(27, 36, 1), (28, 35, 2), (40, 25, 2), (1000, 1, 36), (1500, 1, 36)]
)
def test_the_confusion_matrix_of_many_classes_has_no_numbers(classes, cell, label):
    picture = pictures.confusion(np.eye(classes, dtype=int))
    assert picture.shape == (54 + cell * classes, 54 + cell * classes, 3)
    colours = picture[54:, 54:] @ np.array([256**2, 256, 1])
    only_colours = set(np.unique(colours)) == {0x0066FF, 0xFFFFFF}
    assert only_colours == (cell < 36)
    # A class in so many has a label above its column and beside its row.
    wide, half = 36 if cell == 1 else cell, cell / 2
    for labels in (picture[18:54, 54:], picture[54:, 18:54].swapaxes(0, 1)):
        written = np.flatnonzero((labels == 0).all(axis=2).any(axis=0))
        near = np.abs(written[:, None] - half - cell * label * np.arange(3)).min(axis=0)
        assert (near < wide / 4).all()
        between = np.abs(written + 0.5 - half - cell * label / 2) < 3
        assert not between.any()


def test_mistakes_begin_with_the_most_wrong_image():
    images = (np.arange(4, dtype=np.uint8) * 50).reshape(4, 1, 1, 1)
    images = np.broadcast_to(images, (4, 64, 64, 1)).copy()
    labels = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.4, 0.6], [0.3, 0.7], [0.1, 0.9], [0.8, 0.2]])
    picture = pictures.mistakes(images, labels, probabilities)
    expected = pictures.captioned(images[[2, 3, 0]], ["0: 1 90%", "1: 0 80%", "0: 1 60%"])
    assert np.array_equal(picture, expected)


def test_at_most_16_mistakes_are_shown_and_equal_ones_in_their_order():
    images = squares(40, 10)
    images[:, 0, 0, 0] = np.arange(40)
    right = np.where(np.arange(40) % 3, 0.25, 0.125)  # of which 14 are 0.125
    probabilities = np.stack([1 - right, right], axis=1)
    picture = pictures.mistakes(images, np.ones(40, int), probabilities)
    captions = ["1: 0 88%"] * 14 + ["1: 0 75%"] * 2
    assert np.array_equal(picture, pictures.captioned(images[[*range(0, 40, 3), 1, 2]], captions))


def test_a_model_without_mistakes_has_a_picture_with_a_text():
    images = np.zeros((3, 28, 28, 1), np.uint8)
    picture = pictures.mistakes(images, np.zeros(3, int), np.eye(2)[[0, 0, 0]])
    assert (picture[: pictures.GAP + 84] == 255).all()
    assert (picture == 0).any()
    assert picture.shape == (4 + 84 + 18 + 4, 4 + 84 + 4)


def test_predicted_numbers_are_above_true_ones_on_the_same_scale():
    true = np.array([0.0, 1, 1, 0.5, np.nan])
    predicted = np.array([0.0, 0, 0, 0.5, 3])
    picture = pictures.predictions(true, predicted)
    line, bins = 18, 100
    assert picture.shape == (4 * bins + line, 4 * bins + line)
    assert middle(picture[:line, line:]) == pytest.approx((9, 200), abs=3)
    assert middle(picture[line:, :line]) == pytest.approx((200, 9), abs=3)
    assert (picture[:line, :line] == 255).all()
    cells = picture[line::4, line::4][::-1]
    one = round(255 * (1 - np.sqrt(0.5)))
    expected = np.where(np.eye(bins, dtype=bool), 204, 255)
    expected[0, 0], expected[0, -1], expected[50, 50] = one, 0, one
    assert np.array_equal(cells, expected)


@pytest.mark.parametrize("value", [2.0, np.nan])
def test_a_single_number_and_none_have_a_picture(value):
    picture = pictures.predictions(np.array([value]), np.array([value]))
    line = pictures.LINE
    assert picture[line, line] == 255 and picture[-1, line] == (0 if value == 2 else 204)


@pytest.mark.parametrize("true, predicted", [([np.nan, 1.0, 2.0], [1.0, 1.5, 2.0]), ([1.0], [np.inf])])
def test_numbers_that_are_not_finite_are_as_if_they_were_not_there(true, predicted):
    finite = [pair for pair in zip(true, predicted, strict=True) if np.isfinite(pair).all()]
    only = np.array(finite).reshape(-1, 2).T
    picture = pictures.predictions(np.array(true), np.array(predicted))
    assert np.array_equal(picture, pictures.predictions(*only))


@pytest.mark.parametrize("shape", [(60, 90), (60, 90, 3)])
def test_the_left_title_is_read_upwards(shape):
    pixels = np.full(shape, 7, np.uint8)
    picture = np.asarray(pictures._titled(pixels, "across", "up"))
    turned = np.asarray(pictures._titled(pixels.swapaxes(0, 1), "up", "left"))
    assert picture.shape[:2] == (78, 108)
    assert (picture[18:, 18:] == 7).all() and (picture[:18, :18] == 255).all()
    assert np.array_equal(picture[18:, :18], np.rot90(turned[:18, 18:]))
    assert middle(picture[:18, 18:])[1] == pytest.approx(45, abs=2)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3)])
def test_a_png_has_the_pixels_of_the_picture(shape):
    picture = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    with Image.open(io.BytesIO(pictures.png(picture))) as opened:
        assert opened.format == "PNG"
        assert np.array_equal(np.asarray(opened), picture)
