"""The shape of a field, by hand."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kerasmlp.photos.fields import RIM, Field, fields

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
    assert sheet.rim.sum() == 201 * 81 - (201 - 2 * RIM) * (81 - 2 * RIM)
    assert not sheet.rim[100, 150] and sheet.rim[60, 150] and sheet.rim[100, 50]
    whole = Field(np.ones(SHAPE, bool), np.ones(SHAPE, bool), np.array([(0, 0), (299, 199)]))
    assert whole.rim.sum() == 200 * 300 - (200 - 2 * RIM) * (300 - 2 * RIM), "also at the border"


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
