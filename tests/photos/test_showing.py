"""Where things are in the picture of what was read."""

import numpy as np

from kerasmlp.photos.prediction import Digit, Prediction
from kerasmlp.photos.showing import GAP, ROW, TILE, shown


def test_each_digit_has_a_box_and_a_tile_in_rows_of_six():
    picture = np.full((ROW, ROW), 255, np.uint8)
    digits = []
    for number in range(7):
        seen = np.full((28, 28, 1), 10 * number, np.uint8)
        left = number / 10
        digits.append(Digit((left, 0.25, left + 0.05, 0.75), [(number, 0.6), (1, 0.4)], seen, ""))
    image = shown([Prediction("a.png", digits, picture)] * 2)
    assert image.shape == (2 * (ROW + GAP) + GAP, 1000, 3)
    for top in (GAP, 2 * GAP + ROW):
        for number in range(7):
            row, column = divmod(number, 6)
            y, x = top + row * (TILE + GAP), 2 * GAP + ROW + column * (TILE + GAP)
            assert (image[y : y + TILE - 16, x : x + TILE - 16] == 10 * number).all()
        red = (image[top : top + ROW, GAP : GAP + ROW] == (255, 0, 0)).all(axis=2)
        box = red[:, 22:38]  # around the second digit: from 24 to 36, and from 60 to 180
        assert (np.flatnonzero(box.any(axis=1)).min(), np.flatnonzero(box.any(axis=1)).max()) == (
            58,
            181,
        )
        assert box[58:182, 0].all() and box[58:182, -1].all() and not box[60:180, 1:-1].any()
