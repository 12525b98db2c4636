"""Connected ink, by its boxes: what is one digit, what is a part of one, what is none."""

import numpy as np
import pytest

from kerasmlp.photos.fields import Field
from kerasmlp.photos.parts import Box, Part, grouped, parts_of, why_no_digit, without_frames

EVERYWHERE = np.ones((400, 400), bool)
FIELD = Field(EVERYWHERE, EVERYWHERE, np.array([(0, 0), (399, 0), (399, 399), (0, 399)], float))


def part(number, top, left, height, width, **others):
    box = Box(top, left, top + height, left + width)
    given = {"area": height * width // 4, "stroke": 8.0, "from_rim": (50.0, 90.0)}
    return Part(number, box, **{**given, **others})


def numbers(groups):
    return [[each.number for each in group] for group in groups]


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
        ((60, 60), {"area": 2161, "stroke": 29.0}, ""),
        ((361, 200), {"stroke": 14.0}, "a line from edge to edge"),
        ((361, 200), {"stroke": 15.0}, ""),
        ((360, 200), {"stroke": 14.0}, ""),
        ((80, 40), {"from_rim": (3.0, 19.0)}, "a shadow or an edge"),
        ((80, 40), {"from_rim": (4.0, 19.0)}, ""),
        ((80, 40), {"from_rim": (3.0, 20.0)}, ""),
    ],
)
def test_what_may_be_a_digit(size, others, why):
    assert why_no_digit(part(1, 100, 20, *size, **others), FIELD)[: len(why) or None] == why


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
        ((130, 123, 60, 40), [[1, 2]]),  # they share 20 rows and 17 of 40 columns
        ((130, 124, 60, 40), [[1], [2]]),
        ((100, 160, 50, 40), [[1], [2]]),  # beside
    ],
)
def test_bodies_that_lie_over_each_other_are_one_digit(second, groups):
    bodies = [part(1, 100, 100, 50, 40), part(2, *second)]
    assert numbers(grouped(bodies, bodies)) == groups


def test_three_bodies_of_a_digit_are_joined_and_fragments_go_to_the_nearest():
    bodies = [part(number, top, 100, 40, 40) for number, top in ((1, 100), (2, 142), (3, 184))]
    near, far = part(4, 190, 145, 10, 10, area=80), part(5, 190, 147, 10, 10, area=80)
    small, low = part(6, 150, 142, 5, 5, area=20), part(7, 300, 100, 17, 30)
    assert numbers(grouped([*bodies, low], [*bodies, near, far, small, low])) == [[1, 2, 3, 4]]
    alone = part(8, 100, 300, 40, 40)
    assert numbers(grouped([alone, *bodies], [*bodies, near, alone])) == [[8], [1, 2, 3, 4]]
    assert grouped([], [near]) == []
