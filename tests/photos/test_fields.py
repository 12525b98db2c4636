"""The shape of a field, by hand."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kerasmlp.photos.fields import Field, _at_border, _field, fields

SHAPE = (200, 300)


def turned(corners, degrees, middle=(150, 100)):
    """Corners, columns and rows from the middle, turned clockwise as one sees them."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array(corners, float) @ [[cos, sin], [-sin, cos]] + middle


def polygon(corners):
    picture = Image.new("L", SHAPE[::-1])
    ImageDraw.Draw(picture).polygon([tuple(corner) for corner in corners], fill=1)
    return np.asarray(picture) > 0


def field(corners):
    return Field(polygon(corners), polygon(corners), np.array(corners, float))


SHEET = [(-100, -40), (100, -40), (100, 40), (-100, 40)]


def test_the_rim_is_a_band_inside_of_the_edge():
    sheet = field(turned(SHEET, 0))
    assert sheet.side == 201
    assert sheet.inside.sum() == 201 * 81
    assert sheet.rim.sum() == 201 * 81 - 195 * 75
    assert not sheet.rim[100, 150] and sheet.rim[60, 150] and sheet.rim[100, 50]
    whole = Field(np.ones(SHAPE, bool), np.ones(SHAPE, bool), np.array([(0, 0), (299, 199)]))
    assert whole.rim.sum() == 200 * 300 - 194 * 294, "also at the border"


@pytest.mark.parametrize("degrees", [-20, 0, 7])
@pytest.mark.parametrize(
    "corners, share",
    [
        (SHEET, 1),
        ([(-60, -30), (60, -30), (-60, 30)], 0.5),
        ([(-60, -30), (40, -30), (60, 0), (40, 30), (-60, 30)], 1 - 20 * 60 / 2 / (120 * 60)),
    ],
)
def test_squareness_is_the_share_of_the_smallest_rectangle(corners, share, degrees):
    assert field(turned(corners, degrees)).squareness == pytest.approx(share, rel=1e-6)


@pytest.mark.parametrize("degrees", [-20, -3, 0, 12])
def test_the_angle_is_that_of_the_longer_edges(degrees):
    assert field(turned(SHEET, degrees)).angle == pytest.approx(degrees, abs=1e-6)
    roof = [(-100, -40), (0, -60), (100, -40), (100, 40), (-100, 40)]  # its edges turn by 11 degrees
    assert field(turned(roof, degrees)).angle == pytest.approx(degrees, abs=1e-6)


@pytest.mark.parametrize("degrees, angle", [(24.9, 24.9), (-24.9, -24.9), (25.1, 0), (-25.1, 0)])
def test_a_sheet_is_turned_by_at_most_25_degrees(degrees, angle):
    assert field(turned(SHEET, degrees)).angle == pytest.approx(angle, abs=1e-6)


def test_the_angle_is_that_of_half_of_the_length():
    """Of this parallelogram 80 pixels are turned by 10 degrees, and 120 are not."""
    slant = 40 * np.sin(np.deg2rad(10)), 40 * np.cos(np.deg2rad(10))
    corners = np.add([(0, 0), (60, 0), np.add((60, 0), slant), slant], (100, 60))
    assert field(corners).angle == pytest.approx(0, abs=1e-6)
    assert field(np.add(corners[:, ::-1] * (1, -1), (0, 190))).angle == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("side, angle", [(200, 16.26), (201, 0)])
def test_a_quarter_of_a_side_must_be_seen_for_an_angle(side, angle):
    """The upper edge is 48 wide and 14 high, so 50 long. The others are turned by 45 degrees."""
    left, first, last = (20, 130), (70, 80), (118, 94)
    right = (19 + side, 94 + 19 + side - 118)
    down = (right[0] - left[0] + left[1] - right[1]) / 2
    corners = np.array([left, first, last, right, (right[0] - down, right[1] + down)])
    everywhere = np.ones((300, 300), bool)
    assert Field(everywhere, everywhere, corners).angle == pytest.approx(angle, abs=0.01)


def test_what_is_turned_too_far_or_reaches_the_border_has_no_angle():
    assert field(turned(SHEET, 30)).angle == 0
    beyond = np.array([(0, 10), (299, 0), (299, 199), (0, 199)])
    assert field(beyond).angle == 0


def test_a_sheet_is_a_field_and_a_disc_is_none():
    image = np.full(SHAPE, 0.2, np.float32)
    image[polygon(turned(SHEET, 5))] = 0.9
    sheet, whole = fields(image)
    assert sheet.angle == pytest.approx(5, abs=0.5)
    assert sheet.inside.sum() == pytest.approx(200 * 80, rel=0.1)
    assert whole.inside.all()
    rows, columns = np.mgrid[:200, :300]
    image = np.where((rows - 100) ** 2 + (columns - 150) ** 2 < 60**2, 0.9, 0.2).astype(np.float32)
    (alone,) = fields(image)
    assert alone.inside.all()


def test_what_is_within_3_pixels_of_the_edge_is_at_the_border():
    image = np.ones((100, 200), bool)
    points = [(2, 50), (3, 50), (50, 2), (50, 3), (196, 50), (197, 50), (50, 96), (50, 97)]
    assert _at_border(np.array(points), image).tolist() == [True, False] * 2 + [False, True] * 2


@pytest.mark.parametrize(
    "shape, is_field", [((1, 9), False), ((9, 1), False), ((2, 9), True), ((9, 2), True)]
)
def test_a_field_is_no_line(shape, is_field):
    even = np.zeros(SHAPE, bool)
    even[50 : 50 + shape[0], 70 : 70 + shape[1]] = True
    found = _field(even)
    assert (found is not None) == is_field
    if found:
        assert np.array_equal(found.inside, even)
        right, bottom = 69 + shape[1], 49 + shape[0]
        corners = {(70, 50), (right, 50), (right, bottom), (70, bottom)}
        assert set(map(tuple, found.corners.tolist())) == corners


@pytest.mark.parametrize("width, is_field", [(75, True), (76, False)])
def test_a_field_is_even_in_two_fifths_of_its_hull(width, is_field):
    even = np.zeros(SHAPE, bool)
    even[50:150, 100:200] = True
    even[60:140, 110 : 110 + width] = False
    assert (_field(even) is not None) == is_field


@pytest.mark.parametrize("width, is_field", [(24, True), (25, False)])
def test_four_fifths_of_the_rim_are_even(width, is_field):
    """The rim of 28 x 28 has 300 pixels. A bay takes 3 rows of it, but for 2 columns on either side."""
    even = np.zeros(SHAPE, bool)
    even[50:78, 100:128] = True
    even[50:58, 102 : 102 + width] = False
    assert (_field(even) is not None) == is_field


@pytest.mark.parametrize("cut, is_field", [(53, True), (56, False)])
def test_a_field_fills_its_rectangle_or_reaches_the_border(cut, is_field):
    """A corner is cut off: 14 % or 15.7 % of 100 x 100."""
    corners = np.array([(cut, 0), (99, 0), (99, 99), (0, 99), (0, cut)])
    assert (_field(polygon(np.add(corners, (100, 50)))) is not None) == is_field
    assert _field(polygon(np.add(corners, (100, 100)))) is not None


def test_the_twelve_largest_are_fields_the_smallest_first():
    image = np.full((200, 500), 0.2, np.float32)
    sides = range(30, 44)
    for number, side in enumerate(sides):
        row, column = divmod(number, 7)
        image[20 + 90 * row :, 20 + 68 * column :][:side, :side] = 0.9
    found = fields(image)
    assert [each.side for each in found] == [*(side - 4 for side in sides[3:]), 500]  # with the desk


@pytest.mark.parametrize("side, count", [(30, 2), (15, 1)])
def test_a_field_is_a_part_of_the_image_that_is_not_too_small(side, count):
    image = np.full(SHAPE, 0.2, np.float32)
    image[50 : 50 + side, 100 : 100 + side] = 0.9
    assert len(fields(image)) == count


@pytest.mark.parametrize("width, is_wide", [(19, False), (20, True)])
def test_without_a_field_that_has_digits_paper_is_what_is_wider_than_5_percent(width, is_wide):
    """A strip has 4 columns less than it was drawn with: 15 of 300 are 5 %. The square has 4 %."""
    image = np.full(SHAPE, 0.9, np.float32)
    image[:, 100 : 100 + width] = image[20:70, 20:70] = 0.2
    whole = fields(image)[-1]
    assert whole.corners.tolist() == [[0, 0], [299, 0], [299, 199], [0, 199]] and whole.inside.all()
    assert whole.even[10, [10, 200]].all() and not whole.even[25:65, 25:65].any()
    assert whole.even[:, 102 : 98 + width].any() == whole.even[:, 102 : 98 + width].all() == is_wide
    assert np.flatnonzero(~whole.even[100, 90:102]).tolist() == [8, 9, 10, 11]


@pytest.mark.parametrize("margin, count", [(13, 1), (14, 2)])
def test_a_sheet_that_fills_the_image_is_the_whole(margin, count):
    image = np.full(SHAPE, 0.9, np.float32)
    image[:, :margin] = 0.2
    found = fields(image)
    assert len([each for each in found if each.inside.sum() > 50_000]) == count


@pytest.mark.parametrize(
    "steepest, edge, even", [(0.09, 0.033, 0.027), (0.2, 0.055, 0.045), (0.03, 0.018, 0.015)]
)
def test_an_edge_has_a_third_of_the_steepest_change_within_bounds(steepest, edge, even):
    """Four levels of grey beside each other; the slopes between them are 8 of 1,000 columns wide."""
    slopes = np.zeros(1000)
    for column, slope in ((200, steepest), (400, edge), (600, even)):
        slopes[column : column + 8] = slope
    brightness = np.exp(np.cumsum(slopes) + np.log(0.2)) - 0.15
    *parts, _ = fields(np.tile(brightness, (30, 1)).astype(np.float32))
    columns = sorted(int(np.flatnonzero(part.even.any(axis=0))[0]) for part in parts)
    assert columns == pytest.approx([0, 208, 408], abs=2)


@pytest.mark.parametrize("width, count", [(7, 2), (8, 3)])
def test_a_field_has_more_than_3_thousandths_of_the_image(width, count):
    """A strip of 3 columns has as much, of 4 columns it has more; the others are beside it."""
    image = np.full((30, 1000), 0.9, np.float32)
    image[:, 500 : 500 + width] = 0.2
    *parts, _ = fields(image)
    assert len(parts) == count
