"""The ink and its paper, by hand. Folds and rules from edge to edge are no ink."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from kerasmlp.photos.fields import Field
from kerasmlp.photos.ink import _paper, _smoothed, _width, _without_lines, ink

EVERYWHERE = np.ones((300, 300), bool)


def square(side, **masks):
    """A field whose longer side has that many pixels, everywhere if no masks are given."""
    corners = np.array([(0, 0), (side - 1, 0), (side - 1, side - 1), (0, side - 1)], float)
    return Field(**{"inside": EVERYWHERE, "even": EVERYWHERE, "corners": corners, **masks})


FIELD = square(300)
STROKE = np.zeros((300, 300), bool)
STROKE[100:200, 140:160] = True
BESIDE = np.zeros((300, 300), bool)
BESIDE[:, :135] = BESIDE[:, 165:] = True


def inked(paper, stroke, **masks):
    """The ink of a stroke on paper."""
    grey = np.where(STROKE, stroke, paper).astype(np.float32)
    return ink(grey, square(300, **{"even": BESIDE, **masks}))


@pytest.mark.parametrize(
    "paper, stroke, amount, is_light",
    [
        (0.8, 0.2, 0.75, False),
        (0.2, 0.8, 0.75, True),
        (0.5, 0.44, 0.12, False),
        (0.5, 0.46, 0.05, False),  # a difference of 0.04: half of the least contrast at most
        (0.06, 0.0, 1, False),
    ],
)
def test_the_amount_of_ink_is_the_share_of_the_light_that_the_paper_lacks(
    paper, stroke, amount, is_light
):
    found = inked(paper, stroke)
    assert found.is_light == is_light
    assert found.paper == pytest.approx(1 - paper if is_light else paper, abs=1e-5)
    assert found.amount[STROKE] == pytest.approx(amount, abs=1e-4)
    assert found.amount[~STROKE] == pytest.approx(0, abs=1e-5)
    assert found.noise == pytest.approx(0, abs=1e-4)
    assert not found.lines.any()


def test_beside_a_field_is_no_ink_and_a_field_of_paper_has_none():
    inside = np.zeros((300, 300), bool)
    inside[:, 50:250] = True
    grey = np.where(STROKE | ~inside, 0.2, 0.8).astype(np.float32)
    found = ink(grey, square(300, inside=inside, even=BESIDE & inside))
    assert found.amount[STROKE] == pytest.approx(0.75, abs=1e-4) and not found.amount[~inside].any()
    assert ink(grey, square(300, inside=inside, even=inside)) is None


def test_the_noise_is_the_root_mean_square_of_what_paper_has():
    grey = np.full((300, 300), 0.8, np.float32)
    grey[:, ::4] = grey[:, 1::4] = 0.72  # 10 % less
    grey[STROKE] = 0.2
    found = ink(grey, square(300, even=BESIDE))
    assert found.noise[50:250, 50:250] == pytest.approx(0.1 / np.sqrt(2), rel=0.02)


@pytest.mark.parametrize(
    "side, width, removed", [(300, 100, True), (300, 104, False), (12, 8, True), (12, 12, False)]
)
def test_what_is_as_narrow_as_a_stroke_is_no_paper(side, width, removed):
    """The half-width of the closing is a sixth of the side, at half of the size, and at least 2."""
    grey = np.full((300, 300), 0.9, np.float32)
    grey[:, 100 : 100 + width] = 0.3
    middle = _paper(grey, square(side))[150, 100 + width // 2 - 1]
    assert middle == pytest.approx(0.9, abs=0.03) if removed else middle < 0.6


def test_a_shadow_and_what_reaches_beyond_the_field_are_paper():
    shadow = np.tile(np.linspace(0.3, 0.9, 300, dtype=np.float32), (300, 1))
    assert np.abs(_paper(shadow, FIELD) - shadow).max() < 0.02
    inside = np.zeros((300, 300), bool)
    inside[:, 50:250] = True
    grey = np.full((300, 300), 0.9, np.float32)
    grey[:, 50:70] = 0.3
    assert _paper(grey, square(300, inside=inside))[150, 55] == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("sigma", [2, 10])
def test_a_smooth_image_is_the_mean_of_what_has_weight(sigma):
    random = np.random.default_rng(0)
    values = ndimage.gaussian_filter(random.normal(0.5, 3, (300, 300)), 12).astype(np.float32)
    values = np.clip(values, 0, 1)
    weights = np.zeros((300, 300), np.float32)
    weights[:, 100:] = 0.5
    expected = ndimage.gaussian_filter(values * weights, sigma) / ndimage.gaussian_filter(
        weights, sigma
    ).clip(1e-3)
    assert np.abs(_smoothed(values, weights, sigma) - expected)[:, 110:].max() < 0.02


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


def amount_of(rows, columns=slice(None), amount=0.3):
    """The amount of ink of what is in these rows and columns."""
    ink = np.zeros((300, 300), np.float32)
    ink[rows, columns] = amount
    return ink


def is_taken(amount):
    """Whether all of the ink is taken away, and it is known to be of a line."""
    left, around = _without_lines(amount, FIELD)
    assert around[amount > 0].all() == (not left.any())
    return not left.any()


@pytest.mark.parametrize("amount, taken", [(0.031, True), (0.029, False)])
def test_a_line_has_a_contrast_of_3_percent(amount, taken):
    assert is_taken(amount_of(150, amount=amount)) == taken


@pytest.mark.parametrize("gap, taken", [(49, True), (50, False)])
def test_a_line_crosses_85_percent_of_the_field_or_2_pixels_less_at_each_end(gap, taken):
    line = amount_of(150)
    line[150, 100 : 100 + gap] = 0
    assert is_taken(line) == taken


@pytest.mark.parametrize("row", [0, 7, 292, 299])
def test_a_line_at_the_border_is_taken_away(row):
    assert is_taken(amount_of(row)) and is_taken(amount_of(row).T)


@pytest.mark.parametrize("rows, taken", [(143, True), (144, False)])
def test_where_more_than_half_is_near_ink_there_are_no_lines(rows, taken):
    """Ink is near 2 rows beside it: 145 or 146 rows of the block, and 5 of the line, of 300."""
    amount = amount_of(slice(0, rows)) + amount_of(200)
    left, around = _without_lines(amount, FIELD)
    assert (not left[200].any()) == taken == around.any()
    assert left[:100].all()


@pytest.mark.parametrize(
    "degrees, taken", [(15, True), (3.5, True), (-15, True), (16, False), (-16, False)]
)
def test_a_long_line_is_turned_by_at_most_15_degrees(degrees, taken):
    columns = np.arange(800)
    line = np.zeros((300, 800), np.float32)
    line[np.rint(150 + (columns - 400) * np.tan(np.deg2rad(degrees))).astype(int), columns] = 0.3
    everywhere = np.ones(line.shape, bool)
    field = Field(everywhere, everywhere, np.array([(0, 0), (799, 0), (799, 299), (0, 299)], float))
    left, _ = _without_lines(line, field)
    assert (left > 0).sum() < 8 if taken else (left > 0).sum() == 800


@pytest.mark.parametrize("most, width", [(1, 2), (3, 4), (30, 17)])
def test_the_width_of_a_line_is_counted_in_rows_of_mostly_ink(most, width):
    strong = np.zeros((300, 300), bool)
    strong[150 - most // 2 : 150 + (most + 1) // 2] = True
    strong[157, :150] = strong[143, :151] = True  # half of it, and more
    assert _width(strong, np.full(300, 150), np.arange(300)) == width


def test_near_a_line_only_what_is_thick_or_crosses_it_is_ink():
    """A line of 3 rows. Within 4 rows of it a stroke must have 10 rows; within 7, a blot 9 x 9."""
    amount = amount_of(slice(149, 152))
    amount[145:155, 30] = 0.3  # 10 rows
    amount[146:155, 60] = 0.3  # 9 rows
    amount[154, 90] = amount[155, 120] = 0.3  # 4 and 5 rows below the middle
    amount[142:151, 200:209] = amount[142:150, 240:248] = 0.3
    left, around = _without_lines(amount, FIELD)
    assert left[145:155, 30].all() and not left[:, [60, 90]].any()
    assert left[155, 120] and not left[149:152, 100:130].any()
    assert np.flatnonzero(around[:, 120]).tolist() == list(range(143, 158))
    assert not around[143:151, 200:209].any() and around[143:151, 240:248].all()


@pytest.mark.parametrize("field_width, taken", [(76, True), (75, False)])
def test_a_line_is_as_long_as_a_quarter_of_the_field(field_width, taken):
    """A field may be narrow where the line is."""
    inside = np.zeros((300, 300), bool)
    inside[:100] = inside[100:200, :field_width] = True
    line = amount_of(150, slice(0, field_width))
    left, _ = _without_lines(line, square(300, inside=inside))
    assert left.any() != taken
