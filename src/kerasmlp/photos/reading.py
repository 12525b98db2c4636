"""Reads an image file as grey values. Damaged and unsupported files are a `ValueError`."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Grey = NDArray[np.float32]
"""Grey values `[height, width]`, from 0, black, to 1, white."""

EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "La", "RGBa")
"""Pillow's modes that are supported."""
LARGEST_SIDE = 2000
"""A larger image is reduced to about this many pixels along its longer side."""


def read(source: Path | IO[bytes]) -> Grey:
    """Return an image as grey values, rotated as its EXIF data says. Transparent parts become paper.

    Raises:
        ValueError: the file is not an image, or is damaged, or its kind of image is not supported.
        OSError: the file cannot be read.
    """
    with _value_errors(), Image.open(source) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":  # a phone's JPEG, with a preview as second frame
            raise ValueError(f"expected an image with one frame; received {frames}. Save one of them.")
        if image.mode not in EIGHT_BIT_MODES:
            wanted = "grey or RGB with 8 bits per channel"
            raise ValueError(f"expected {wanted}; received {image.mode}. Convert the image.")
        image.draft("L", (LARGEST_SIDE, LARGEST_SIDE))  # a large JPEG is decoded at half its size
        upright = ImageOps.exif_transpose(image)
        if not upright.has_transparency_data:
            return _reduced(upright.convert("L"))
        coloured = upright.convert("RGBA")
    grey, opacity = _reduced(coloured.convert("L")), _reduced(coloured.getchannel("A"))
    return grey if opacity.min() == 1 else grey * opacity + _paper(grey, opacity) * (1 - opacity)


def _reduced(image: Image.Image) -> Grey:
    """Return an image of one channel with at most `LARGEST_SIDE` pixels along its longer side."""
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BOX)
    return np.asarray(image, np.float32) / np.float32(255)


def resized(image: Grey, scale: float) -> Grey:
    """Return an image, of values from 0 to 1, whose sides are `scale` times as long."""
    height, width = image.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    changed = np.asarray(Image.fromarray(image).resize(size, method))
    return np.clip(changed, 0, 1)  # a bicubic image goes beyond


def fitted(image: Grey, shape: tuple[int, ...]) -> Grey:
    """Return a smooth image in a shape `(height, width)`."""
    height, width = shape
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


@contextlib.contextmanager
def _value_errors() -> Iterator[None]:
    """Turn errors of Pillow into a `ValueError`. Its decoders raise any class on a damaged file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (FileNotFoundError, PermissionError, IsADirectoryError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise ValueError("expected an image file, as PNG or JPEG; received another file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = f"{(Image.MAX_IMAGE_PIXELS or 0) // 1_000_000} million pixels"
        raise ValueError(f"expected at most {limit}; received more. Make the image smaller.") from None
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _paper(grey: Grey, opacity: Grey) -> float:
    """Return the grey value behind an image with transparent parts."""
    opaque = grey[opacity > 0.5]
    if not opaque.size:
        return 1.0
    if opaque.std() < 0.1:  # only ink: the paper is transparent
        return 0.0 if opaque.mean() > 0.5 else 1.0
    return float(np.median(opaque))
