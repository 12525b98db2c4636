"""Digits as somebody draws them, and what the page must read in them."""

import json

import keras
import numpy as np
import pytest
from PIL import Image, ImageDraw

from kerasmlp import MLP, photos
from kerasmlp.exporting import drawn
from kerasmlp.exporting.strokes import SIDE, STROKES, _drawn, drawn_digits, wobbled
from small_models import Loud


def test_digits_are_drawn_of_all_kinds_in_the_sizes_of_a_pen():
    digits, labels = drawn_digits(200, seed=0)
    assert labels.tolist() == list(range(10)) * 20
    assert drawn_digits(200, seed=0)[0] == digits != drawn_digits(200, seed=1)[0]
    points = [np.concatenate([stroke["points"] for stroke in strokes]) for strokes in digits]
    assert all(each.min() >= 0 and each.max() <= SIDE for each in points)
    heights = np.array([np.ptp(each[:, 1]) for each in points]) / SIDE
    assert 0.38 < heights.min() < 0.5 and 0.7 < heights.max() < 0.95
    widths = np.array([strokes[0]["width"] for strokes in digits]) / SIDE
    assert 0.5 * 0.06 < widths.min() < 0.04 and 0.09 < widths.max() < 0.85 * 0.13


@pytest.fixture(scope="module")
def pictures():
    """The papers of four digits: ink is 255."""
    digits, _ = drawn_digits(4, seed=1)
    papers = []
    for strokes in digits:
        paper = Image.new("L", (SIDE, SIDE))
        for stroke in strokes:
            line = [tuple(point) for point in stroke["points"]]
            ImageDraw.Draw(paper).line(line, 255, round(stroke["width"]), "curve")
        papers.append(np.asarray(paper))
    return np.stack(papers)


def test_a_page_is_compared_with_what_predict_reads_and_is_certain_of(pictures, tmp_path):
    """A model with random weights is certain of much; of the class 9 never."""
    keras.utils.set_random_seed(1)
    model = MLP()
    model(np.zeros((1, 28, 28, 1), np.float32))
    *others, kernel, bias = model.get_weights()
    model.set_weights([*others, 40 * kernel, np.append(bias[:9], -1e6).astype("float32")])
    paths = [str(tmp_path / f"{number}.png") for number in range(4)]
    for path, ink in zip(paths, pictures, strict=True):
        Image.fromarray(255 - ink).save(path)
    read = [digit for each in photos.predict(model, paths)[0] for digit in each.digits]
    labels = [digit.predictions[0][0] for digit in read]
    certain = sum(not digit.mark for digit in read)
    assert certain > 1
    same = drawn.compared(model, pictures, np.eye(10)[labels])
    assert same == {"drawn_equal": 4, "drawn_certain": certain, "drawn_alike": certain}
    other = drawn.compared(model, pictures, np.eye(10)[[9] * 4])
    assert other == {"drawn_equal": 0, "drawn_certain": certain, "drawn_alike": 0}


def test_a_paper_with_no_digit_or_two_is_not_read_alike(pictures):
    """Both digits are certain, but `predict` reads two, and the page one."""
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.set_weights([np.zeros((784, 3)), np.array([1.0, 0, 0])])
    both = np.hstack([pictures[2], pictures[3]])[:, ::2]
    papers = np.stack([np.zeros_like(both), both, pictures[3]])
    found = drawn.compared(model, papers, np.eye(3)[[0, 0, 0]])
    assert found == {"drawn_equal": 1, "drawn_certain": 1, "drawn_alike": 1}


def test_the_labels_near_are_those_of_the_image_moved_by_a_pixel():
    """The label of an image is the place of its only pixel, in rows of five."""
    model = keras.Sequential([keras.Input((5, 5, 1)), keras.layers.Flatten(), Loud()])
    seen = np.zeros((5, 5, 1), np.uint8)
    seen[2, 1] = 255
    assert drawn._labels_near(model, seen) == {5, 6, 7, 10, 11, 12, 15, 16, 17}


def test_a_hundred_digits_are_drawn_on_every_page():
    assert json.loads(drawn.digits_as_json()) == drawn_digits(100, 0)[0]


class Middle:
    """Random numbers in the middle of what they may be; of some, what is given by its bounds."""

    def __init__(self, given=None):
        self.given = given or {}

    def uniform(self, low, high, size=None):
        return np.full(size, self.given.get((low, high), (low + high) / 2)) if size else (low + high) / 2

    def normal(self, mean, deviation, size=None):
        return np.full(size or (), self.given.get((mean, deviation), mean))


def test_a_seven_is_drawn_by_hand():
    """It is 189 high, 170.1 wide, and slanted by a tenth of its height."""
    (stroke,) = _drawn(STROKES[7], Middle())
    assert stroke["width"] == pytest.approx(189 * 0.095)
    expected = [
        (140 + 170.1 * (x - 0.5) - 18.9 * 0.9 * (y - 0.5) / 0.9, 140 + 189 * (y - 0.5))
        for x, y in STROKES[7][0]
    ]
    np.testing.assert_allclose(stroke["points"], expected, atol=2)
    assert np.array_equal(np.round(stroke["points"], 1), stroke["points"])


def test_a_digit_is_turned_clockwise_and_moved_and_stays_on_the_paper():
    upright = [[(0.5, 0.0), (0.5, 1.0)]]
    (turned,) = _drawn(upright, Middle({(0, 4): 90, (0.1, 0.1): 0}))
    np.testing.assert_allclose(turned["points"], [(234.5, 140), (45.5, 140)], atol=0.1)
    (moved,) = _drawn(upright, Middle({(-0.05, 0.05): 0.05, (0.1, 0.1): 0}))
    np.testing.assert_allclose(moved["points"], [(154, 59.5), (154, 248.5)], atol=0.1)
    for by, points in ((0.5, [(280, 185.5), (280, 280)]), (-0.6, [(0, 0), (0, 66.5)])):
        (cut,) = _drawn(upright, Middle({(-0.05, 0.05): by, (0.1, 0.1): 0}))
        np.testing.assert_allclose(cut["points"], points, atol=0.1)


@pytest.mark.parametrize("at, most", [(8, 0.133), (0, 0.566)])
def test_a_hand_moves_a_point_with_those_near_it(at, most):
    """The first point stands for those before it."""

    class Once:
        def normal(self, mean, deviation, shape):
            assert (mean, deviation) == (0, 0.06)
            moved = np.zeros(shape)
            moved[at, 0] = 1
            return moved

    points = np.random.default_rng(0).uniform(size=(17, 2))
    moved = wobbled(points, Once()) - points
    assert moved[at, 0] == pytest.approx(most, abs=0.001) and moved[at].argmax() == 0
    assert not moved[:, 1].any()


PEN = {  # from where to where each stroke goes, and the box round it
    0: [((0.5, 0.05), (0.5, 0.05), (0.2, 0.05, 0.8, 0.95))],
    1: [((0.38, 0.2), (0.5, 0.95), (0.38, 0.05, 0.52, 0.95))],
    2: [((0.23, 0.28), (0.8, 0.93), (0.23, 0.05, 0.8, 0.93))],
    3: [((0.23, 0.2), (0.19, 0.78), (0.19, 0.05, 0.76, 0.94))],
    4: [
        ((0.55, 0.05), (0.82, 0.6), (0.2, 0.05, 0.82, 0.6)),
        ((0.65, 0.35), (0.62, 0.97), (0.62, 0.35, 0.65, 0.97)),
    ],
    5: [((0.75, 0.07), (0.22, 0.8), (0.22, 0.07, 0.75, 0.94))],
    6: [((0.65, 0.05), (0.25, 0.7), (0.25, 0.05, 0.75, 0.94))],
    7: [((0.2, 0.08), (0.42, 0.95), (0.2, 0.08, 0.78, 0.95))],
    8: [((0.5, 0.48), (0.5, 0.48), (0.24, 0.06, 0.76, 0.96))],
    9: [((0.72, 0.3), (0.62, 0.95), (0.24, 0.06, 0.72, 0.95))],
}


@pytest.mark.parametrize("digit", PEN)
def test_the_pen_goes_from_where_to_where(digit):
    for stroke, (first, last, box) in zip(STROKES[digit], PEN[digit], strict=True):
        points = np.array(stroke)
        np.testing.assert_allclose(points[[0, -1]], [first, last], atol=0.011)
        np.testing.assert_allclose([*points.min(axis=0), *points.max(axis=0)], box, atol=0.011)


@pytest.mark.parametrize("digit, lines", [(0, 0), (2, 2), (3, 0), (5, 2), (6, 1), (8, 0), (9, 1)])
def test_an_arc_goes_on_where_the_one_before_it_ends(digit, lines):
    """Only a straight line is longer than a fifth of the digit from one of its points to the next."""
    (stroke,) = STROKES[digit]
    assert (np.hypot(*np.diff(stroke, axis=0).T) > 0.2).sum() == lines


def test_drawn_digits_are_the_ten_in_turn():
    digits, labels = drawn_digits(12, seed=0)
    assert labels.tolist() == [*range(10), 0, 1]
    assert [len(strokes) for strokes in digits] == [1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1]
