import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from kerasmlp.photos import find, prepared, read
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
