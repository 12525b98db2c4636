import io
import zlib

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

import photographs
from kerasmlp.photos import find, prepared, read
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
    "no pixels": (lambda: of_size(0, 0), "expected"),
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
    with pytest.raises(ValueError, match=message):
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
