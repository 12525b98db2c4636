import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from kerasmlp.photos import Found, find, prepared, read
from kerasmlp.photos.preparing import _thickened
from photographs import file, noisy_seven, plain_seven


def seen(image, format="PNG", **options):
    """The image as the model would see it."""
    (digit,) = find(read(file(image, format, **options)))
    return prepared(digit, 28, 28)


@pytest.fixture(scope="module")
def expected():
    return seen(plain_seven())


def difference(one, other):
    """The mean difference of two images, from 0 to 255, for the best shift by at most one pixel."""
    one, other = one.astype(float), other.astype(float)
    shifts = [(y, x, 0) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return min(np.abs(one - np.roll(other, shift, (0, 1, 2))).mean() for shift in shifts)


def test_the_digit_fills_the_box_and_its_centre_of_mass_is_the_centre(expected):
    rows, columns = ndimage.find_objects((expected[..., 0] > 0).astype(int))[0]
    assert (rows.stop - rows.start, expected.max()) == (20, 255)
    assert 10 < columns.stop - columns.start < 15
    assert ndimage.center_of_mass(expected[..., 0]) == pytest.approx((14, 14), abs=0.51)
    assert expected.shape == (28, 28, 1)
    assert expected.dtype == np.uint8


def rotated(image):
    """The image on its side, and EXIF data that say so."""
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees, clockwise
    return {"image": image.transpose(Image.Transpose.ROTATE_90), "exif": exif}


def on_transparent_paper(ink):
    image = Image.new("RGBA", (200, 200), (ink, ink, ink, 0))
    image.putalpha(plain_seven(ink=255, paper=0))
    return image


def in_shadow():
    grey = np.asarray(plain_seven(), float) * np.linspace(0.4, 1, 200)
    return Image.fromarray(grey.astype(np.uint8))


def with_table():
    """The 7 on paper, with a dark table at the edge of the image."""
    image = plain_seven(at=(0.05, 0))
    ImageDraw.Draw(image).rectangle((0, 0, 12, 200), fill=10)
    return image


def wide():
    return Image.fromarray(np.pad(plain_seven(), [(0, 0), (0, 300)], mode="edge"))


def coloured():
    return Image.merge("RGB", [plain_seven(ink=150), plain_seven(ink=30), plain_seven(ink=60)])


SAME = {
    "light on dark": lambda: seen(plain_seven(ink=250, paper=30)),
    "grey on grey": lambda: seen(plain_seven(ink=100, paper=150)),
    "off centre": lambda: seen(plain_seven(at=(0.2, -0.2))),
    "large": lambda: seen(plain_seven(side=2000)),
    "small": lambda: seen(plain_seven(side=56)),
    "small on large paper": lambda: seen(plain_seven(side=1000, size=0.15)),
    "wide paper": lambda: seen(wide()),
    "jpeg": lambda: seen(plain_seven(), "JPEG"),
    "one bit": lambda: seen(plain_seven().convert("1")),
    "palette": lambda: seen(plain_seven().convert("P")),
    "colour": lambda: seen(coloured()),
    "dark ink on transparent paper": lambda: seen(on_transparent_paper(20)),
    "light ink on transparent paper": lambda: seen(on_transparent_paper(240)),
    "rotated by EXIF": lambda: seen(format="JPEG", **rotated(plain_seven())),
    "in a shadow": lambda: seen(in_shadow()),
    "noisy": lambda: seen(noisy_seven()),
    "beside a table": lambda: seen(with_table()),
}


@pytest.mark.parametrize("name", SAME)
def test_the_model_sees_the_same_digit_in_every_photo(name, expected):
    assert difference(SAME[name](), expected) < 8
    assert difference(expected.transpose(1, 0, 2), expected) > 30  # another picture differs by more


def test_an_image_of_mnist_hardly_changes(mnist5k):
    images = mnist5k.test_data[:50]
    found = [prepared(find(image[..., 0].astype(np.float32) / 255)[0], 28, 28) for image in images]
    pairs = list(zip(images, found, strict=True))
    assert np.mean([difference(*pair) for pair in pairs]) < 8
    centres = [np.subtract(*(ndimage.center_of_mass(image) for image in pair)) for pair in pairs]
    assert np.abs(np.mean(centres, axis=0)).max() < 0.2


def test_in_other_sizes_the_box_is_the_same_share_of_the_image():
    found = prepared(find(read(file(plain_seven())))[0], 14, 21)
    assert found.shape == (14, 21, 1)
    assert np.flatnonzero(found.any(axis=(1, 2))).size == 10


def bar(rows, columns, ink=1.0, paper=1.0, **others):
    """A filled rectangle of ink with room round it, as it is found."""
    mask = np.zeros((rows + 40, columns + 40), bool)
    mask[20:-20, 20:-20] = True
    grey = np.where(mask, paper * (1 - ink), paper).astype(np.float32)
    given = {"grey": grey, "mask": mask, "is_light": False, "angle": 0.0, "box": (0.0, 0.0, 1.0, 1.0)}
    return Found(paper=np.full_like(others.get("grey", grey), paper), **{**given, **others})


def filled(image):
    """The first row and column of what is not black, and the number of them."""
    rows, columns = (np.flatnonzero(image[..., 0].any(axis=axis)) for axis in (1, 0))
    assert (image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] == 255).all()
    return rows[0], columns[0], len(rows), len(columns)


@pytest.mark.parametrize("ink, paper", [(1.0, 1.0), (0.4, 0.8), (0.6, 0.06)])
def test_a_bar_is_white_20_pixels_long_and_in_the_middle(ink, paper):
    assert filled(prepared(bar(40, 10, ink, paper), 28, 28)) == (4, 12, 20, 5)
    assert filled(prepared(bar(10, 40, ink, paper), 14, 28)) == (5, 4, 5, 20)
    assert filled(prepared(bar(15, 45, ink, paper), 28, 21)) == (12, 4, 5, 15)


def test_light_ink_is_the_same_as_dark_ink():
    dark = bar(40, 12, 0.4, 0.8)
    light = bar(40, 12, 0.4, 0.8, grey=1 - dark.grey, is_light=True)
    assert np.array_equal(prepared(light, 28, 28), prepared(dark, 28, 28))


def test_the_digit_is_what_is_within_2_pixels_of_its_mask():
    found = bar(40, 20)
    mask = np.zeros_like(found.mask)
    mask[20:-20, 27:33] = True  # 6 of the 20 columns, and 2 on either side
    assert filled(prepared(bar(40, 20, mask=mask), 28, 28)) == (4, 12, 20, 5)


def test_a_tenth_of_the_ink_may_be_darker():
    """The first 4 of 40 rows are twice as dark: of all ink, 90 % have at most 0.55."""
    found = bar(40, 10)
    found.grey[24:-20, 20:-20] = 0.5
    column = prepared(found, 28, 28)[:, 14, 0]
    assert column[column > 0].tolist() == [255] * 2 + [round(255 * 0.5 / 0.55)] * 18


def test_what_is_fainter_than_a_tenth_is_not_in_the_box():
    found = bar(40, 10)
    found.grey[18:20, 20:-20] = 0.91
    assert filled(prepared(found, 28, 28)) == (4, 12, 20, 5)
    found.grey[18:20, 20:-20] = 0.89
    assert np.flatnonzero(prepared(found, 28, 28)[..., 0].max(axis=1) == 255).size == 19


@pytest.mark.parametrize("angle, is_turned", [(1.0, False), (-1.0, False), (1.2, True), (-1.2, True)])
def test_a_digit_on_a_sheet_that_is_turned_by_more_than_a_degree_is_turned_back(angle, is_turned):
    found = bar(60, 12)
    straight, image = prepared(found, 28, 28), prepared(bar(60, 12, angle=angle), 28, 28)
    assert np.array_equal(straight, image) != is_turned


@pytest.mark.parametrize("angle", [20, -20])
def test_a_bar_on_a_turned_sheet_is_straight_again(angle):
    turned = ndimage.rotate(1 - bar(60, 12).grey, -angle, order=1)  # clockwise
    grey = (1 - turned).astype(np.float32)
    found = bar(60, 12, grey=grey, mask=turned > 0.5, angle=float(angle))
    image = prepared(found, 28, 28)[..., 0] > 127
    assert (image.any(axis=1).sum(), image.any(axis=0).sum()) == (20, 5)  # a pixel more, of its edge


def test_a_digit_whose_mass_is_at_one_end_stays_in_the_image():
    found = bar(40, 40)
    found.mask[30:-20, 20:38] = found.mask[30:-20, 42:-20] = False  # a T
    found.grey[~found.mask] = 1
    for turns, corner in ((0, (8, 4)), (1, (4, 8)), (2, (0, 4)), (3, (4, 0))):
        grey, mask = np.rot90(found.grey, turns), np.rot90(found.mask, turns)
        image = prepared(bar(40, 40, grey=grey, mask=mask), 28, 28)[..., 0]
        rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
        assert (rows[0], columns[0], len(rows), len(columns)) == (*corner, 20, 20)


@pytest.mark.parametrize("rows, columns, wider", [(100, 2, 8), (100, 10, 0), (40, 4, 0), (2, 100, 8)])
def test_strokes_are_at_least_a_tenth_of_the_digit_wide(rows, columns, wider):
    found = bar(rows, columns)
    ink = _thickened(found.mask.astype(np.float32), found)
    assert (ink.any(axis=1).sum(), ink.any(axis=0).sum()) == (rows + wider, columns + wider)
