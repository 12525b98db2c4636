import io
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

import photographs
from kerasmlp.photos import find, prepared, read
from kerasmlp.photos.reading import _paper, _value_errors, fitted, resized
from photographs import file, noisy_seven, plain_seven


def two_frames(format):
    frames = [plain_seven(side=20), plain_seven(side=20, ink=90)]
    return file(frames[0], format, save_all=True, append_images=frames[1:])


def of_size(width, height):
    """A PNG file with this size in its header."""
    content = bytearray(file(plain_seven(side=20)).getvalue())
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return io.BytesIO(bytes(content))


REFUSED = {
    "text": (lambda: io.BytesIO(b"a digit"), "expected an image file, as PNG or JPEG"),
    "nothing": (lambda: io.BytesIO(), "expected an image file, as PNG or JPEG"),
    "truncated": (lambda: io.BytesIO(file(noisy_seven()).getvalue()[:9000]), "truncated"),
    "no pixels": (lambda: of_size(0, 5), "expected an image file, as PNG or JPEG"),
    "30,000 x 30,000": (lambda: of_size(30_000, 30_000), "expected at most 89 million pixels"),
    "10,000 x 10,000": (lambda: of_size(10_000, 10_000), "expected at most 89 million pixels"),
    "16 bits": (
        lambda: file(Image.fromarray(np.zeros((9, 9), np.uint16))),
        "8 bits per channel; received I;16",
    ),
    "floats": (lambda: file(plain_seven().convert("F"), "TIFF"), "8 bits per channel; received F"),
    "CMYK": (lambda: file(plain_seven().convert("CMYK"), "JPEG"), "8 bits per channel; received CMYK"),
    "animated GIF": (lambda: two_frames("GIF"), "expected an image with one frame; received 2"),
    "animated PNG": (lambda: two_frames("PNG"), "expected an image with one frame; received 2"),
    "pages": (lambda: two_frames("TIFF"), "expected an image with one frame; received 2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_unsupported_file_is_a_value_error(name):
    make, message = REFUSED[name]
    with warnings.catch_warnings(), pytest.raises(ValueError, match=message):
        warnings.simplefilter("ignore")  # in these tests they would be errors anyway
        read(make())


PNG = file(photographs.photo(3, 1).resize((40, 40))).getvalue()
JPEG = file(photographs.photo(3, 1).resize((40, 40)), "JPEG").getvalue()


@given(
    st.sampled_from([PNG, JPEG]),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=8)), max_size=4),
    st.integers(0, 2000),
)
def test_a_damaged_file_is_read_or_is_a_value_error(content, changes, cut):
    damaged = bytearray(content)
    for at, part in changes:
        damaged[at : at + len(part)] = part
    try:
        found = prepared(find(read(io.BytesIO(bytes(damaged[: len(damaged) - cut]))))[0], 28, 28)
    except ValueError:
        return
    assert found.shape == (28, 28, 1)


def test_the_least_image_has_a_pixel():
    assert read(file(Image.new("L", (1, 3), 51))).tolist() == [[np.float32(0.2)]] * 3


@pytest.mark.parametrize("format", ["BMP", "GIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP"])
def test_every_format_of_one_picture_is_read(format):
    more = {"save_all": True, "append_images": [plain_seven(side=20)]} if format == "MPO" else {}
    found = read(file(Image.new("RGB", (30, 20), (51, 51, 51)), format, **more))
    assert found.shape == (20, 30) and found == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_of_8_bits_is_read(mode):
    assert read(file(Image.new("L", (3, 2), 255).convert(mode))).tolist() == [[1] * 3] * 2


@pytest.mark.parametrize(
    "size, shape", [((2000, 10), (10, 2000)), ((2400, 12), (10, 2000)), ((12, 2400), (2000, 10))]
)
def test_a_large_image_is_reduced_to_2000_pixels(size, shape):
    assert read(file(Image.new("L", size))).shape == shape


def test_a_side_is_reduced_by_the_mean_of_its_pixels():
    image = Image.fromarray(np.tile(np.array([0, 102], np.uint8), (2, 2000)))
    assert read(file(image)) == pytest.approx(0.2)


@pytest.mark.parametrize("opacity, share", [(255, 1), (153, 0.6), (0, 0)])
def test_a_transparent_part_is_paper(opacity, share):
    """Paper of 0.8 with ink of 0.2, the last column of which is transparent."""
    grey = np.full((4, 10), 204, np.uint8)
    grey[:, 6:] = 51
    alpha = np.full((4, 10), 255, np.uint8)
    alpha[:, 9] = opacity
    image = Image.fromarray(np.stack([grey, alpha], axis=2))
    expected = np.repeat([0.8, 0.2, share * 0.2 + (1 - share) * 0.8], (6, 3, 1))
    assert read(file(image)) == pytest.approx(np.tile(expected, (4, 1)), abs=1e-6)


@pytest.mark.parametrize(
    "opaque, paper",
    [
        ([], 1),
        ([0.1, 0.2], 1),
        ([0.5, 0.5], 1),
        ([0.6, 0.5], 0),
        ([0.5, 0.69], 0),  # their standard deviation is 0.095
        ([0.5, 0.72], 0.61),
        ([0.2, 0.7, 0.9], 0.7),
    ],
)
def test_paper_is_what_is_opaque_or_the_reverse_of_the_ink(opaque, paper):
    grey = np.array([[0.3, 0.4, *opaque]], np.float32)
    opacity = np.array([[0, 0.5] + [0.51] * len(opaque)], np.float32)
    assert _paper(grey, opacity) == pytest.approx(paper)


def test_a_smaller_image_has_means_and_a_larger_one_stays_within_0_and_1():
    image = np.array([[0, 0.5, 1, 1], [0.5, 1, 1, 1]], np.float32)
    assert resized(image, 0.5).tolist() == [[0.5, 1]]
    assert resized(image, 1).tolist() == image.tolist()
    assert resized(image, 0.1).shape == (1, 1)
    assert resized(image, 1.3).shape == (3, 5)
    edge = resized(np.array([[0, 0, 1, 1]], np.float32), 4)
    assert (edge.min(), edge.max(), edge.shape) == (0, 1, (4, 16))
    assert edge[0, 6] == pytest.approx(0.084, abs=0.002)  # of a cubic; it is 0.125 of a line


def test_a_smooth_image_is_fitted_to_a_shape():
    found = fitted(np.array([[0, 1]], np.float32), (3, 4))
    assert found.tolist() == [[0, 0.25, 0.75, 1]] * 3


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError, IsADirectoryError, MemoryError])
def test_an_error_of_the_system_is_left_as_it_is(error):
    with pytest.raises(error), _value_errors():
        raise error


@pytest.mark.parametrize(
    "error, message", [(KeyError("no table"), "'no table'"), (SyntaxError(), "None")]
)
def test_an_error_of_a_decoder_is_a_value_error(error, message):
    with pytest.raises(ValueError, match=message), _value_errors():
        raise error


def test_an_error_without_words_is_named_by_its_class():
    with pytest.raises(ValueError, match=r"^EOFError$"), _value_errors():
        raise EOFError


def test_without_a_limit_of_pixels_no_image_is_too_large(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    with pytest.raises(ValueError, match="expected at most 0 million pixels; received more"):
        read(file(Image.new("L", (3, 1))))
