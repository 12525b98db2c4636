"""Digits as somebody draws them, and what the page must read in them."""

import keras
import numpy as np
import pytest
from PIL import Image, ImageDraw

from kerasmlp import MLP, photos
from kerasmlp.exporting import drawn
from kerasmlp.exporting.reasons import reason
from kerasmlp.exporting.strokes import SIDE, drawn_digits


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
    """The papers of ten digits: ink is 255."""
    digits, _ = drawn_digits(10, seed=1)
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
    paths = [str(tmp_path / f"{number}.png") for number in range(10)]
    for path, ink in zip(paths, pictures, strict=True):
        Image.fromarray(255 - ink).save(path)
    read = [digit for each in photos.predict(model, paths)[0] for digit in each.digits]
    labels = [digit.predictions[0][0] for digit in read]
    certain = sum(not digit.mark for digit in read)
    assert certain > 2
    same = drawn.compared(model, pictures, np.eye(10)[labels])
    assert same == {"drawn_equal": 10, "drawn_certain": certain, "drawn_alike": certain}
    other = drawn.compared(model, pictures, np.eye(10)[[9] * 10])
    assert other == {"drawn_equal": 0, "drawn_certain": certain, "drawn_alike": 0}


def test_the_operations_that_a_format_lacks_are_named_once():
    one, other = "'tf.Sine' op is neither a custom op nor", "No Op registered for Cosine"
    assert reason(f"{one}; {other}; {one}") == "it has no operation Sine, Cosine"
