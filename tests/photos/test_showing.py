"""Where things are in the picture of what was read."""

import numpy as np
import pytest

from kerasmlp.photos.prediction import Digit, Prediction
from kerasmlp.photos.showing import shown

WHITE = np.full((240, 240), 255, np.uint8)


def digit(box=(0.4, 0.4, 0.6, 0.6), label=7, share=0.6, grey=0):
    return Digit(box, [(label, share), (1, 1 - share)], np.full((28, 28, 1), grey, np.uint8), "")


def test_each_digit_has_a_box_and_a_tile_in_rows_of_six():
    digits = [
        digit((number / 10, 0.25, number / 10 + 0.05, 0.75), grey=10 * number) for number in range(7)
    ]
    image = shown([Prediction("a.png", digits, WHITE)] * 2)
    assert image.shape == (2 * 248 + 8, 1000, 3)
    for top in (8, 256):
        for number in range(7):
            row, column = divmod(number, 6)
            y, x = top + 120 * row, 256 + 120 * column
            assert (image[y : y + 96, x : x + 96] == 10 * number).all()
            assert (image[y : y + 96, x + 96 : x + 120] == 255).all()
        red = (image[top : top + 240, 8:248] == (255, 0, 0)).all(axis=2)
        box = red[:, 22:38]  # around the second digit: from 24 to 36, and from 60 to 180
        rows = np.flatnonzero(box.any(axis=1))
        assert (rows.min(), rows.max()) == (58, 181)
        assert box[58:182, 0].all() and box[58:182, -1].all() and not box[60:180, 1:-1].any()


def test_a_label_is_below_its_tile_with_a_mark_if_it_is_uncertain():
    same = {"grey": 255}
    digits = [digit(**same), digit(share=0.9, **same), digit(label=3, **same), digit(**same)]
    image = shown([Prediction("a.png", digits, WHITE)])
    captions = [image[8:128, 256 + 120 * each :][:, :120] < 128 for each in range(4)]
    for ink in captions:
        rows, columns = np.flatnonzero(ink.any(axis=(1, 2))), np.flatnonzero(ink.any(axis=(0, 2)))
        assert 96 <= rows.min() < 104 and rows.max() < 112
        assert columns.min() < 4 and 30 < columns.max() < 60
    assert np.array_equal(captions[0], captions[3])
    assert captions[0].sum() != captions[1].sum() and captions[0].sum() != captions[2].sum()


def test_an_image_shows_at_most_twelve_digits():
    image = shown([Prediction("a.png", [digit()] * 13, WHITE)])
    for y in (8, 128):
        for x in range(256, 976, 120):
            assert not image[y : y + 96, x : x + 96].any()
    assert (image[248:] == 255).all()


@pytest.mark.parametrize("images, rows", [(0, 0), (100, 100), (101, 100)])
def test_at_most_a_hundred_images_are_shown(images, rows):
    image = shown([Prediction("a.png", [], WHITE[:1, :1])] * images)
    assert image.shape == (248 * rows + 8, 1000, 3)
