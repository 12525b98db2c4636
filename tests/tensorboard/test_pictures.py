import numpy as np
import pytest

from kerasmlp.tensorboard import pictures


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


def test_images_that_do_not_fit_are_left_out():
    large = np.zeros((9, 700, 700, 1), np.uint8)
    assert pictures.tiles(large).shape[:2] == (708, 708)
    many = np.zeros((5000, 28, 28, 1), np.uint8)
    assert max(pictures.tiles(many).shape) <= pictures.SIDE + pictures.GAP


@pytest.mark.parametrize("channels", [1, 3])
def test_the_first_layer_is_light_above_zero_and_dark_below(channels):
    kernel = np.repeat([[5.0, 1], [-1.0, -1], [0.0, 1], [2.0, -1]], channels, axis=0)
    picture = pictures.first_layer(kernel, (2, 2, channels))
    assert picture.ndim == (2 if channels == 1 else 3)
    grey = picture.reshape(*picture.shape[:2], -1)[pictures.GAP :, pictures.GAP :, -1]
    white = 4 * kernel.std()
    expected = [[1 + min(5 / white, 1), 1 - 1 / white], [1, 1 + 2 / white]]
    assert grey[:2, :2].tolist() == np.rint(127.5 * np.array(expected)).tolist()
    clipped = pictures.first_layer(np.array([[1.0, *[0.0] * 50]]).T, (51, 1, 1))
    assert clipped[pictures.GAP, pictures.GAP] == 255


def test_a_first_layer_of_zeros_is_grey():
    picture = pictures.first_layer(np.zeros((4, 1)), (2, 2, 1))
    assert (picture[pictures.GAP : pictures.GAP + 2, pictures.GAP : pictures.GAP + 2] == 128).all()


def test_the_confusion_matrix_is_blue_for_right_and_red_for_wrong():
    matrix = np.array([[4, 0], [3, 1]])
    picture = pictures.confusion(matrix)
    cell, before = pictures.CELL, pictures.LINE + pictures.CELL
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
        assert (picture[at, pictures.LINE : before] == 0).any()
        assert (picture[pictures.LINE : before, at] == 0).any()


@pytest.mark.parametrize("classes", [40, 1500])
def test_the_confusion_matrix_of_many_classes_has_no_numbers(classes):
    picture = pictures.confusion(np.eye(classes, dtype=int))
    cell, before = max(1, pictures.SIDE // classes), pictures.LINE + pictures.CELL
    assert picture.shape == (before + cell * classes, before + cell * classes, 3)
    colours = picture[before:, before:] @ np.array([256**2, 256, 1])
    assert set(np.unique(colours)) == {0x0066FF, 0xFFFFFF}


def test_mistakes_begin_with_the_most_wrong_image():
    images = (np.arange(4, dtype=np.uint8) * 50).reshape(4, 1, 1, 1)
    images = np.broadcast_to(images, (4, 64, 64, 1)).copy()
    labels = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.4, 0.6], [0.3, 0.7], [0.1, 0.9], [0.8, 0.2]])
    picture = pictures.mistakes(images, labels, probabilities)
    expected = pictures.captioned(images[[2, 3, 0]], ["0: 1 90%", "1: 0 80%", "0: 1 60%"])
    assert np.array_equal(picture, expected)


def test_a_model_without_mistakes_has_a_picture_with_a_text():
    images = np.zeros((3, 28, 28, 1), np.uint8)
    picture = pictures.mistakes(images, np.zeros(3, int), np.eye(2)[[0, 0, 0]])
    assert (picture[: pictures.GAP + 84] == 255).all()
    assert (picture == 0).any()


def test_predicted_numbers_are_above_true_ones_on_the_same_scale():
    true = np.array([0.0, 1, 1, 0.5, np.nan])
    predicted = np.array([0.0, 0, 0, 0.5, 3])
    picture = pictures.predictions(true, predicted)
    line, bins = pictures.LINE, pictures.BINS
    assert picture.shape == (4 * bins + line, 4 * bins + line)
    assert (picture[:line] == 0).any() and (picture[:, :line] == 0).any()  # the titles
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
