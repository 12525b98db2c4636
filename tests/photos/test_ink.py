"""Folds and rules from edge to edge are no ink; a digit on one keeps its strokes."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kerasmlp.photos.fields import Field
from kerasmlp.photos.ink import _without_lines

EVERYWHERE = np.ones((300, 300), bool)
FIELD = Field(EVERYWHERE, EVERYWHERE, np.array([(0, 0), (299, 0), (299, 299), (0, 299)], float))


def with_line(degrees, upright=False):
    """The amount of ink of a line of 3 pixels through the middle, and of a thick upright stroke."""
    paper = Image.new("L", (300, 300))
    rise = 150 * np.tan(np.deg2rad(degrees))
    ends = [(0, 150 - rise), (299, 150 + rise)]
    ImageDraw.Draw(paper).line([end[::-1] for end in ends] if upright else ends, 90, 3)
    line = np.asarray(paper, np.float32) / 255
    digit = np.zeros((300, 300), np.float32)
    digit[100:220, 60:80] = 0.8
    return line, digit


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("degrees", [-15, -10, 0, 10, 15])
def test_a_line_across_the_field_is_taken_away(degrees, upright):
    line, digit = with_line(degrees, upright)
    amount, around = _without_lines(np.maximum(line, digit), FIELD)
    assert (amount[digit > 0] == np.float32(0.8)).mean() > 0.99
    assert (amount[(line > 0) & (digit == 0)] == 0).mean() > 0.95
    assert around[(line > 0) & (digit == 0)].mean() > 0.95


@pytest.mark.parametrize("degrees", [20, 30])
def test_a_line_that_is_turned_further_is_ink(degrees):
    line, _ = with_line(degrees)
    amount, around = _without_lines(line, FIELD)
    assert np.array_equal(amount, line)
    assert not around.any()


def test_grain_has_no_lines():
    line, _ = with_line(0)
    grain = np.random.default_rng(0).uniform(0, 0.2, (300, 300)).astype(np.float32)
    amount, around = _without_lines(np.maximum(line, grain), FIELD)
    assert np.array_equal(amount, np.maximum(line, grain))
    assert not around.any()
