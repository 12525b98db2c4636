"""What is found in a scene: the place and the number of the digits; or what is there in their place."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import scenes
from helpers import cases
from kerasmlp.photos import Found, find, read
from kerasmlp.photos.fields import Field
from kerasmlp.photos.finding import _cut_out, _Digit, _in_field, _in_lines, _is_ink, _is_sheet
from kerasmlp.photos.ink import Ink
from kerasmlp.photos.parts import Box
from photographs import SCENES, file, plain_seven, scene, sevens


def grey(image):
    return read(file(image))


BETWEEN = (
    *(
        "on three sides",
        "on one or two sides",
        "of 15 %",
        "a scanned page, 8 mm",
        "a scanned page, 12 mm",
    ),
    *("a printed box, lines of 2 to 8 pixels", "a margin of 2 % of the width", "a fold", "a pencil"),
)
"""Scenes that lie between two others, or show what others do."""


@pytest.mark.parametrize("name", cases(SCENES, default=SCENES.keys() - BETWEEN))
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


def square(side, even=None):
    """A square image as a field, even where it is said to be."""
    inside = np.ones((side, side), bool)
    corners = np.array([(0, 0), (side - 1, 0), (side - 1, side - 1), (0, side - 1)], float)
    return Field(inside, inside if even is None else even, corners)


@pytest.mark.parametrize("even, is_sheet", [(75, False), (76, True)])
def test_what_is_even_in_three_quarters_of_its_hull_is_a_sheet(even, is_sheet):
    masks = np.ones((10, 10), bool), np.arange(100).reshape(10, 10) < even
    triangle = np.array([(0, 0), (9, 0), (0, 9)], float)
    assert _is_sheet(Field(*masks, triangle)) == is_sheet


@pytest.mark.parametrize("cut, is_sheet", [(39, True), (41, False)])
def test_what_is_square_is_a_sheet(cut, is_sheet):
    """A corner is cut off: 7.6 % or 8.4 % of 100 x 100."""
    corners = np.array([(cut, 0), (100, 0), (100, 100), (0, 100), (0, cut)], float)
    nowhere = np.zeros((101, 101), bool)
    assert _is_sheet(Field(~nowhere, nowhere, corners)) == is_sheet


@pytest.mark.parametrize("inked, is_ink", [(50, False), (51, True)])
def test_a_field_is_ink_if_more_than_half_of_it_is_that_of_a_digit(inked, is_ink):
    even = np.arange(400).reshape(20, 20) < 100
    digits = [_Digit(None, None, mask, None) for mask in (~even, np.arange(400).reshape(20, 20) < inked)]
    assert _is_ink(square(20, even), digits) == is_ink
    assert not _is_ink(square(20, even), [])


def boxes(found):
    return [digit.box for digit in found]


def in_field(grey, stroke):
    """The boxes of the digits in a field, and what else is there."""
    beside = ~ndimage.binary_dilation(stroke, iterations=4)
    digits, others = _in_field(grey.astype(np.float32), square(len(grey), beside))
    return boxes(digits), others


STROKE = Box(100, 130, 200, 150)
"""Where a stroke is drawn in a field of 300 x 300."""


def drawn(*pieces):
    stroke = np.zeros((300, 300), bool)
    for box in pieces or [STROKE]:
        stroke[box.top : box.bottom, box.left : box.right] = True
    return stroke


@pytest.mark.parametrize(
    "contrast, noise, is_found",
    [(0.11, 0, True), (0.09, 0, False), (0.28, 0.1, True), (0.22, 0.1, False)],
)
def test_ink_has_a_contrast_of_10_percent_and_of_3_and_a_half_times_the_noise(contrast, noise, is_found):
    paper, stroke = np.full((300, 300), 0.8), drawn()
    paper[:, ::4] = paper[:, 1::4] = 0.8 * (1 - noise)  # its mean square is half of its square
    found, _ = in_field(np.where(stroke, 0.8 * (1 - contrast), paper), stroke)
    assert found == ([STROKE] if is_found else [])


@pytest.mark.parametrize(
    "noise, faint, is_joined",
    [(0, 0.30, True), (0, 0.26, False), (0.2, 0.38, True), (0.2, 0.33, False)],
)
def test_faint_ink_that_continues_a_stroke_belongs_to_it(noise, faint, is_joined):
    """It has 35 % of the stroke's contrast, here 80 %, and 2.5 times the noise."""
    tail = Box(200, 130, 230, 150)
    paper, stroke, both = np.full((300, 300), 0.8), drawn(), drawn(STROKE, tail)
    paper[:, ::4] = paper[:, 1::4] = 0.8 * (1 - noise)
    grey = np.where(stroke, 0.8 * 0.2, np.where(both, 0.8 * (1 - faint), paper))
    expected = Box(100, 130, 230, 150) if is_joined else STROKE
    assert in_field(grey, both)[0] == [expected]


@pytest.mark.parametrize("top, is_found", [(3, True), (2, False)])
def test_what_comes_in_from_the_edge_is_no_digit_if_there_is_another(top, is_found):
    """The rim has 3 pixels."""
    beside = Box(top, 220, 100, 235)
    stroke = drawn(STROKE, beside)
    found, _ = in_field(np.where(stroke, 0.2, 0.8), stroke)
    assert sorted(box.left for box in found) == ([130, 220] if is_found else [130])
    stroke = drawn(beside)
    assert in_field(np.where(stroke, 0.2, 0.8), stroke)[0] == [beside]


def test_what_else_is_in_a_field_is_named():
    stroke = drawn(STROKE, Box(20, 20, 24, 24), Box(250, 50, 280, 80))
    found, others = in_field(np.where(stroke, 0.2, 0.8), stroke)
    assert found == [STROKE]
    assert others == ["a speck (1.3% of the longer side of the image)", "a filled spot"]


def test_an_image_is_blurred_before_it_is_looked_at():
    """So a dot of 3 pixels has 5; without, it would be a grain."""
    paper = np.full((640, 640), 0.9, np.float32)
    paper[300:303, 200:203] = 0.0
    with pytest.raises(ValueError, match=r"received a speck \(0.8% of"):
        find(paper)


def test_what_is_seen_last_is_named_in_place_of_a_digit():
    paper = np.full((300, 400), 0.9, np.float32)
    paper[50:54, 200:205] = paper[210:260, 300:350] = 0.2
    with pytest.raises(ValueError, match=r"received a filled spot$"):
        find(paper)


def test_each_of_several_sheets_is_looked_at():
    """A card on a mat, the mat on a desk, and beside it a sheet that is larger than the mat."""
    desk = np.full((400, 640), 0.1, np.float32)
    desk[100:300, 40:240] = 0.35
    desk[130:260, 70:200] = 0.9
    desk[50:350, 300:600] = 0.9
    seven = np.asarray(plain_seven(side=100, ink=0, paper=255), np.float32) / 255
    for top, left in ((145, 85), (150, 400)):
        desk[top : top + 100, left : left + 100] *= np.where(seven < 0.5, 0.2, 1)
    found = find(desk)
    middles = [((left + right) * 320, (top + bottom) * 200) for left, top, right, bottom in boxes(found)]
    assert middles == [pytest.approx((135, 195), abs=8), pytest.approx((450, 200), abs=8)]


def test_digits_are_in_one_line_if_the_middle_is_above_the_foot_of_another():
    first, second, below, last = (
        Box(0, 50, 40, 60),
        Box(29, 20, 49, 30),  # its middle is in row 39
        Box(39, 0, 59, 10),  # in row 49, where the line ends
        Box(80, 30, 90, 40),
    )
    digits = [_Digit(None, None, None, box) for box in (last, below, second, first)]
    assert boxes(_in_lines(digits)) == [second, first, below, last]
    higher = [_Digit(None, None, None, box) for box in (Box(38, 0, 59, 10), second, first)]
    assert boxes(_in_lines(higher)) == [Box(38, 0, 59, 10), second, first]
    assert _in_lines([]) == []


def cut_out(box, large=1, shape=(200, 300)):
    """The image, a digit that fills its box, and what is cut out."""
    grey = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    mask = np.zeros(shape, bool)
    mask[box.top : box.bottom, box.left : box.right] = True
    paper = np.tile(np.linspace(0, 1, shape[1], dtype=np.float32), (shape[0], 1))
    field = Field(mask, mask, np.array([(0, 0), (100, 0), (100, 50), (0, 50)], float))
    digit = _Digit(field, Ink(grey, grey, paper, True, mask), mask, box)
    image = np.kron(grey, np.ones((large, large), np.float32))
    return grey, paper, mask, _cut_out(image, digit)


@pytest.mark.parametrize("large", [1, 2])
def test_a_digit_is_cut_out_with_a_third_of_its_length_round_it(large):
    """70 rows, and 25 on either side, make 120, the most that there are."""
    grey, paper, mask, found = cut_out(Box(60, 100, 130, 140), large)
    part = slice(35, 155), slice(75, 165)
    assert found.grey.shape == (120, 90)
    np.testing.assert_allclose(found.grey, grey[part], atol=1e-6)
    np.testing.assert_allclose(found.paper, paper[part], atol=1e-6)
    assert np.array_equal(found.mask, mask[part])
    assert found.size == (70, 40)
    assert found.box == (100 / 300, 60 / 200, 140 / 300, 130 / 200)
    assert (found.is_light, found.angle) == (True, 0)


def test_a_digit_in_a_corner_is_cut_out_with_what_there_is_round_it():
    *_, found = cut_out(Box(5, 20, 75, 60))
    assert found.grey.shape == (120, 102)  # of 100 rows and 85 columns
    assert found.mask[:6].sum() == found.mask[-30:].sum() == 0 and found.mask[8:88, 27:70].all()
    *_, found = cut_out(Box(130, 250, 195, 290))
    assert found.grey.shape == (120, 94)  # of 93 rows and 73 columns
    assert found.mask[-6:].sum() == found.mask[:, -12:].sum() == 0 and found.mask[31:112, 31:80].all()


@pytest.mark.parametrize("width, is_wide", [(12, False), (13, True)])
def test_a_digit_is_wide_if_it_is_wider_than_6_fifths_of_its_height(width, is_wide):
    mask = np.zeros((30, 30), bool)
    mask[5:15, 8 : 8 + width] = True
    grey = np.zeros((30, 30), np.float32)
    found = Found(grey, grey, mask, False, 0.0, (0, 0, 1, 1))
    assert (found.size, found.is_wide) == ((10, width), is_wide)
