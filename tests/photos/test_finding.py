"""What is found in a scene: the place and the number of the digits; or what is there in their place."""

import numpy as np
import pytest
from PIL import Image

import scenes
from helpers import cases
from kerasmlp.photos import find, read
from photographs import SCENES, file, plain_seven, scene, sevens


def grey(image):
    return read(file(image))


@pytest.mark.parametrize("name", cases(SCENES, default=[name for name in SCENES if "12 mm" not in name]))
def test_the_digits_of_a_scene_are_found_and_nothing_else(name, mnist5k):
    images, labels = mnist5k.test_data, mnist5k.test_label
    drawn = [scene(name, images, labels, number) for number in range(1 if "page" in name else 5)]
    counts = []
    for each in drawn:
        try:
            counts.append(len(find(grey(each.image()))))
        except ValueError:
            counts.append(0)
    right = sum(np.equal(counts, [len(each.digits) for each in drawn]))
    assert right >= min(4, len(drawn))  # of five; a broken digit may be two


@pytest.mark.parametrize(
    "grey",
    [
        np.full((50, 50), 0.7, np.float32),
        np.random.default_rng(0).normal(0.7, 0.02, (300, 300)).astype(np.float32),
        np.tile(np.linspace(0.3, 0.9, 200, dtype=np.float32), (200, 1)),
        np.zeros((1, 1), np.float32),
        np.ones((1, 400), np.float32),
    ],
)
def test_paper_without_ink_is_an_error(grey):
    with pytest.raises(ValueError, match="expected a digit in clear contrast"):
        find(grey)


def test_digits_are_in_the_order_in_which_they_are_read():
    paper = Image.new("L", (600, 400), 230)
    for left, top in ((420, 20), (30, 240), (60, 40), (230, 60)):
        paper.paste(plain_seven(side=150), (left, top))
    found = find(grey(paper))
    boxes = np.array([each.box for each in found])
    middles = (boxes[:, :2] + boxes[:, 2:]) * (300, 200)
    expected = [(135, 115), (305, 135), (495, 95), (105, 315)]
    assert np.abs(np.subtract(middles, expected)).max() < 12


def test_the_box_of_a_digit_is_where_it_was_drawn():
    (found,) = find(grey(plain_seven(side=400, at=(0.1, -0.2), size=0.4)))
    left, top, right, bottom = found.box
    assert (left + right) / 2 == pytest.approx(0.6, abs=0.02)
    assert (top + bottom) / 2 == pytest.approx(0.3, abs=0.02)
    assert bottom - top == pytest.approx(0.45, abs=0.03)  # with the width of the pen
    assert not found.is_light
    assert found.angle == 0


def test_two_digits_that_touch_are_wide():
    (found,) = find(grey(sevens(66)))
    assert found.is_wide
    assert not any(each.is_wide for each in find(grey(sevens(110))))


@pytest.mark.parametrize("turned", [-12, 0, 9])
def test_the_turn_of_a_sheet_is_measured(turned, mnist5k):
    writer = scenes.Writer(mnist5k.test_data, mnist5k.test_label, 1)
    writer.random = Turned(writer.random, turned)
    (found,) = find(grey(writer.sheet(margin=0.15, turned=1, tilted=0).image()))
    assert found.angle == pytest.approx(-turned, abs=1)


class Turned:
    """Random numbers; of those between -1 and 1, the number of degrees that was asked for."""

    def __init__(self, random, turned):
        self.random, self.turned = random, turned

    def uniform(self, low=0.0, high=1.0, size=None):
        return self.turned if (low, high) == (-1, 1) else self.random.uniform(low, high, size)

    def __getattr__(self, name):
        return getattr(self.random, name)


@pytest.mark.parametrize(
    "kind, message",
    [("empty", "no ink"), ("speck", "a speck"), ("spot", "a filled spot"), ("line", "a line")],
)
def test_what_is_no_digit_is_named(kind, message):
    paper = np.full((300, 400), 0.9, np.float32)
    if kind == "speck":
        paper[100:104, 200:205] = 0.2
    elif kind == "spot":
        rows, columns = np.mgrid[:300, :400]
        paper[(rows - 150) ** 2 + (columns - 200) ** 2 < 40**2] = 0.2
    elif kind == "line":
        paper[150:156, 60:330] = 0.2
    with pytest.raises(
        ValueError, match=f"expected a digit in clear contrast to its paper; received {message}"
    ):
        find(paper)


def test_rules_from_edge_to_edge_are_no_ink(mnist5k):
    with_rules = np.asarray(plain_seven(side=400)).copy()
    plain = find(grey(Image.fromarray(with_rules)))[0]
    for row in range(20, 400, 60):
        with_rules[row : row + 3] = np.minimum(with_rules[row : row + 3], 150)
    (found,) = find(grey(Image.fromarray(with_rules)))
    assert np.abs(np.subtract(found.box, plain.box)).max() < 0.02
