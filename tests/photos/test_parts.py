"""Connected ink, by its boxes: what is one digit, what is a part of one, what is none."""

import numpy as np
import pytest

from kerasmlp.photos.fields import Field
from kerasmlp.photos.parts import Box, Part, grouped, parts_of, why_no_digit, without_frames


def whole(height, width):
    """All of an image as a field."""
    everywhere = np.ones((height, width), bool)
    corners = [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)]
    return Field(everywhere, everywhere, np.array(corners, float))


FIELD = whole(400, 400)


def part(number, top, left, height, width, **others):
    box = Box(top, left, top + height, left + width)
    given = {"area": height * width // 4, "stroke": 8.0, "from_rim": (50.0, 90.0)}
    return Part(number, box, **{**given, **others})


def numbers(groups):
    return [[each.number for each in group] for group in groups]


def test_a_box_has_sides_and_lies_in_another():
    box = Box(10, 20, 40, 60)
    assert (box.height, box.width, box.length, Box(0, 0, 5, 3).length) == (30, 40, 40, 5)
    assert box.holds(box)
    for other in (Box(9, 20, 40, 60), Box(10, 19, 40, 60), Box(10, 20, 41, 60), Box(10, 20, 40, 61)):
        assert other.holds(box) and not box.holds(other)
    assert not Box(9, 21, 41, 59).holds(box) and not Box(11, 19, 39, 61).holds(box)


def test_boxes_have_gaps_and_a_box_round_all():
    assert Box(10, 20, 40, 60).gaps(Box(45, 50, 80, 90)) == (5, -10)
    assert Box(45, 50, 80, 90).gaps(Box(10, 20, 40, 47)) == (5, 3)
    both = [part(1, 10, 50, 30, 40), part(2, 20, 20, 30, 10)]
    assert Box.round(both) == Box(10, 20, 50, 90)


@pytest.mark.parametrize("side, found", [(5, 0), (6, 1)])
def test_a_part_is_at_least_half_a_percent_long(side, found):
    mask = np.zeros((300, 1200), bool)
    mask[range(10, 10 + side), range(20, 20 + side)] = True  # from corner to corner it is connected
    parts, _ = parts_of(mask, np.zeros_like(mask), whole(300, 1200))
    assert len(parts) == found


@pytest.mark.parametrize("near, found", [(80, 1), (81, 0)])
def test_what_is_near_a_line_by_more_than_four_fifths_is_left_of_it(near, found):
    mask, lines = np.zeros((400, 400), bool), np.zeros((400, 400), bool)
    mask[20, 100:200] = lines[20, 100 : 100 + near] = True
    assert len(parts_of(mask, lines, FIELD)[0]) == found


def test_a_part_in_the_corner_is_at_the_rim():
    mask = np.zeros((400, 400), bool)
    mask[380:, 390:] = True
    (found,), _ = parts_of(mask, np.zeros_like(mask), FIELD)
    assert (found.box, found.stroke, found.from_rim) == (Box(380, 390, 400, 400), 10, (1, 10))


def test_grains_are_no_parts_and_what_follows_is():
    mask, lines = np.zeros((400, 400), bool), np.zeros((400, 400), bool)
    mask[10, 10] = True
    mask[20, 100:200] = lines[20, 100:185] = True  # what is left of a line
    mask[100:150, 200:210] = True
    (found,), numbered = parts_of(mask, lines, FIELD)
    assert (found.box, found.area, found.stroke) == (Box(100, 200, 150, 210), 500, 10)
    assert found.from_rim == (101, 150)
    assert numbered[120, 205] == found.number


@pytest.mark.parametrize(
    "size, others, why",
    [
        ((8, 8), {}, ""),
        ((7, 7), {}, "a speck"),
        ((20, 60), {}, ""),
        ((20, 61), {}, "a line"),
        ((60, 60), {"area": 2161, "stroke": 31.0}, "a filled spot"),
        ((60, 60), {"area": 2160, "stroke": 31.0}, ""),
        ((60, 60), {"area": 2161, "stroke": 30.0}, ""),  # 27 without its blur, which is 45 %
        ((361, 200), {"stroke": 14.0}, "a line from edge to edge"),
        ((375, 200), {"stroke": 15.0}, ""),
        ((360, 200), {"stroke": 14.0}, ""),
        ((80, 40), {"from_rim": (3.0, 19.0)}, "a shadow or an edge"),
        ((80, 40), {"from_rim": (4.0, 19.0)}, ""),
        ((80, 40), {"from_rim": (3.0, 20.0)}, ""),
    ],
)
def test_what_may_be_a_digit(size, others, why):
    assert why_no_digit(part(1, 100, 20, *size, **others), FIELD)[: len(why) or None] == why


def test_a_speck_is_named_by_its_size():
    assert (
        why_no_digit(part(1, 100, 20, 7, 5), FIELD) == "a speck (1.8% of the longer side of the image)"
    )


@pytest.mark.parametrize(
    "stroke, height, is_frame",
    [
        (2.0, 17, True),  # 8 times its stroke is 16
        (2.0, 16, False),
        (1.0, 16, True),  # a quarter of the digit is 15
        (1.0, 15, False),
        (2.75, 50, True),  # 35 % of the digit's stroke is 2.8
        (2.8, 50, False),
    ],
)
def test_what_is_thin_and_long_beside_a_digit_is_a_frame(stroke, height, is_frame):
    digit, other = part(1, 100, 100, 60, 40), part(2, 100, 300, height, 2, stroke=stroke)
    assert numbers([without_frames([other, digit])]) == [[1] if is_frame else [2, 1]]


def test_what_is_25_times_as_long_as_its_stroke_is_not_the_digit():
    frame, digit = part(1, 60, 60, 200, 200, area=9000), part(2, 100, 100, 60, 40, stroke=2.5)
    assert without_frames([frame, digit]) == [frame, digit]
    thicker = part(1, 60, 60, 199, 199, area=9000)
    assert without_frames([thicker, digit]) == [thicker]


def test_a_thin_frame_round_a_digit_is_left_out():
    digit, frame = part(1, 100, 100, 60, 40), part(2, 60, 60, 200, 200, stroke=2.0, area=1600)
    beside, thick = part(3, 100, 300, 60, 2, stroke=2.0), part(4, 60, 60, 200, 200, stroke=3.0)
    assert without_frames([digit, frame, beside, thick]) == [digit, thick]
    assert without_frames([frame]) == [frame]


@pytest.mark.parametrize(
    "second, groups",
    [
        ((158, 100, 60, 40), [[1, 2]]),  # below, 8 rows apart
        ((159, 100, 60, 40), [[1], [2]]),  # 9 are 15 % of the taller one
        ((158, 145, 60, 40), [[1, 2]]),  # below, and 5 columns to the right
        ((158, 146, 60, 40), [[1], [2]]),
        ((141, 145, 60, 40), [[1, 2]]),  # it shares 9 rows, and 10 are a fifth of the lower one
        ((140, 145, 60, 40), [[1], [2]]),
        ((130, 123, 60, 40), [[1, 2]]),  # they share 20 rows and 17 of 40 columns
        ((130, 124, 60, 40), [[1], [2]]),
        ((100, 160, 50, 40), [[1], [2]]),  # beside
    ],
)
def test_bodies_that_lie_over_each_other_are_one_digit(second, groups):
    bodies = [part(1, 100, 100, 50, 40), part(2, *second)]
    assert numbers(grouped(bodies, bodies)) == groups


@pytest.mark.parametrize("height, groups", [(18, [[1]]), (19, [[1], [2]])])
def test_a_digit_has_45_percent_of_the_height_of_the_tallest(height, groups):
    bodies = [part(1, 100, 100, 40, 40), part(2, 100, 300, height, 20)]
    assert numbers(grouped(bodies, bodies)) == groups


@pytest.mark.parametrize(
    "top, left, area, is_taken",
    [
        (110, 145, 21, True),
        (110, 146, 21, False),  # 6 columns are 15 % of the tallest digit's height
        (110, 145, 20, False),  # a twentieth of its area
        (144, 144, 21, True),  # 4 rows and 4 columns away
        (144, 145, 21, False),
    ],
)
def test_a_fragment_belongs_to_a_digit_near_it(top, left, area, is_taken):
    digit, fragment = part(1, 100, 100, 40, 40), part(2, top, left, 10, 10, area=area)
    assert numbers(grouped([digit], [fragment, digit])) == [[1, 2] if is_taken else [1]]


def test_a_fragment_between_two_digits_belongs_to_the_nearest():
    digits = [part(1, 141, 201, 40, 40), part(2, 100, 252, 40, 40)]
    fragment = part(3, 130, 244, 10, 5, area=80)  # 3 columns beside both, and a row above the first
    assert numbers(grouped(digits, [*digits, fragment])) == [[1], [2, 3]]


def test_three_bodies_of_a_digit_are_joined_and_fragments_go_to_the_nearest():
    bodies = [part(number, top, 100, 40, 40) for number, top in ((1, 100), (2, 142), (3, 184))]
    near, far = part(4, 190, 145, 10, 10, area=80), part(5, 190, 147, 10, 10, area=80)
    small, low = part(6, 150, 142, 5, 5, area=20), part(7, 300, 100, 17, 30)
    assert numbers(grouped([*bodies, low], [*bodies, near, far, small, low])) == [[1, 2, 3, 4]]
    alone = part(8, 100, 300, 40, 40)
    assert numbers(grouped([alone, *bodies], [*bodies, near, alone])) == [[8], [1, 2, 3, 4]]
    assert grouped([], [near]) == []
