import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy import ndimage

import photographs
from kerasmlp.photos import prepared, read


def file(image, format="PNG", **options):
    """The image as a file in memory."""
    content = io.BytesIO()
    image.save(content, format, **options)
    content.seek(0)
    return content


def seen(image, format="PNG", **options):
    """What the model would see of it."""
    return prepared(read(file(image, format, **options)), 28, 28)


def drawn(side=200, ink=20, paper=230, at=(0.0, 0.0), size=0.5):
    """A 7 in a grey image."""
    image = Image.new("L", (side, side), paper)
    points = [(-0.5, -0.8), (0.5, -0.8), (-0.1, 0.8)]
    xy = [
        (side * (0.5 + a + x * size / 1.6), side * (0.5 + b + y * size / 1.6))
        for x, y in points
        for a, b in [at]
    ]
    ImageDraw.Draw(image).line(xy, ink, round(side * size / 8), joint="curve")
    return image


@pytest.fixture(scope="module")
def expected():
    return seen(drawn())


def difference(one, other):
    """The mean difference of two images, of 255, at the best of the shifts by a pixel."""
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
    exif[0x0112] = 6  # turn by 90 degrees, clockwise
    return {"image": image.transpose(Image.Transpose.ROTATE_90), "exif": exif}


def ink_alone(ink):
    image = Image.new("RGBA", (200, 200), (ink, ink, ink, 0))
    image.putalpha(drawn(ink=255, paper=0))
    return image


def in_shadow():
    grey = np.asarray(drawn(), float) * np.linspace(0.4, 1, 200)
    return Image.fromarray(grey.astype(np.uint8))


def with_noise():
    noise = np.random.default_rng(0).normal(0, 15, (400, 400))
    return Image.fromarray(np.clip(np.asarray(drawn(side=400)) + noise, 0, 255).astype(np.uint8))


def at_the_edge():
    image = drawn(at=(0.05, 0))
    ImageDraw.Draw(image).rectangle((0, 0, 12, 200), fill=10)  # the table beside the paper
    return image


SAME = {
    "light on dark": lambda: seen(drawn(ink=250, paper=30)),
    "grey on grey": lambda: seen(drawn(ink=100, paper=150)),
    "off centre": lambda: seen(drawn(at=(0.2, -0.2))),
    "large": lambda: seen(drawn(side=2000)),
    "small": lambda: seen(drawn(side=56)),
    "small on large paper": lambda: seen(drawn(side=1000, size=0.15)),
    "wide paper": lambda: seen(Image.fromarray(np.pad(drawn(), [(0, 0), (0, 300)], mode="edge"))),
    "jpeg": lambda: seen(drawn(), "JPEG"),
    "one bit": lambda: seen(drawn().convert("1")),
    "palette": lambda: seen(drawn().convert("P")),
    "colour": lambda: seen(Image.merge("RGB", [drawn(ink=150), drawn(ink=30), drawn(ink=60)])),
    "dark ink alone": lambda: seen(ink_alone(20)),
    "light ink alone": lambda: seen(ink_alone(240)),
    "turned by EXIF": lambda: seen(format="JPEG", **rotated(drawn())),
    "in a shadow": lambda: seen(in_shadow()),
    "noisy": lambda: seen(with_noise()),
    "beside the table": lambda: seen(at_the_edge()),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_however_it_was_photographed_it_is_seen_the_same(name, expected):
    assert difference(SAME[name](), expected) < 8
    assert difference(expected.transpose(1, 0, 2), expected) > 30  # what another picture differs by


def test_an_image_of_mnist_comes_back_nearly_as_it_was(mnist5k):
    images = mnist5k.test_data[:50]
    found = [prepared(image[..., 0].astype(np.float32) / 255, 28, 28) for image in images]
    pairs = list(zip(images, found, strict=True))
    assert np.mean([difference(*pair) for pair in pairs]) < 8
    centres = [np.subtract(*(ndimage.center_of_mass(image) for image in pair)) for pair in pairs]
    assert np.abs(np.mean(centres, axis=0)).max() < 0.2


def test_other_sizes_have_a_box_of_the_same_share():
    found = prepared(read(file(drawn())), 14, 21)
    assert found.shape == (14, 21, 1)
    assert np.flatnonzero(found.any(axis=(1, 2))).size == 10


def frames(format):
    image = drawn(side=20)
    return file(image, format, save_all=True, append_images=[drawn(side=20, ink=90)])


def of_size(width, height):
    """A PNG file that says it has so many pixels."""
    content = bytearray(file(drawn(side=20)).getvalue())
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return io.BytesIO(bytes(content))


REFUSED = {
    "text": (lambda: io.BytesIO(b"a digit"), "expected an image, as PNG or JPEG"),
    "nothing": (lambda: io.BytesIO(), "expected an image, as PNG or JPEG"),
    "truncated": (lambda: io.BytesIO(file(with_noise()).getvalue()[:9000]), "truncated"),
    "no pixels": (lambda: of_size(0, 0), "expected"),
    "30,000 x 30,000": (lambda: of_size(30_000, 30_000), "expected at most 89 million pixels"),
    "10,000 x 10,000": (lambda: of_size(10_000, 10_000), "expected at most 89 million pixels"),
    "16 bits": (
        lambda: file(Image.fromarray(np.zeros((9, 9), np.uint16))),
        "8 bits a channel; it is I;16",
    ),
    "floats": (lambda: file(drawn().convert("F"), "TIFF"), "8 bits a channel; it is F"),
    "CMYK": (lambda: file(drawn().convert("CMYK"), "JPEG"), "8 bits a channel; it is CMYK"),
    "animated GIF": (lambda: frames("GIF"), "expected one picture; it has 2"),
    "animated PNG": (lambda: frames("PNG"), "expected one picture; it has 2"),
    "pages": (lambda: frames("TIFF"), "expected one picture; it has 2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_photo_of_a_digit_is_refused(name):
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        read(make())


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
def test_paper_without_ink_is_refused(grey):
    with pytest.raises(ValueError, match="expected a digit in clear contrast"):
        prepared(grey, 28, 28)


PHOTO = file(photographs.photo(3, 1).resize((40, 40))).getvalue()
JPEG = file(photographs.photo(3, 1).resize((40, 40)), "JPEG").getvalue()


@given(
    st.sampled_from([PHOTO, JPEG]),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=8)), max_size=4),
    st.integers(0, 2000),
)
def test_damaged_files_are_an_image_or_a_value_error(content, changes, length):
    damaged = bytearray(content)
    for at, part in changes:
        damaged[at : at + len(part)] = part
    try:
        found = prepared(read(io.BytesIO(bytes(damaged[: len(damaged) - length]))), 28, 28)
    except ValueError:
        return
    assert found.shape == (28, 28, 1)
