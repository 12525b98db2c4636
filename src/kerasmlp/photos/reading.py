"""TODO"""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from kerasmlp.photos.preparing import SIDE, Grey

EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "La", "RGBa")
"""Pillow's modes that are read."""


def read(source: Path | IO[bytes]) -> Grey:
    """Return an image as grey values `[height, width]`, from 0, black, to 1, white.

    It is turned as its EXIF data says. What is transparent becomes paper.

    Args:
        source: a path, or a file of the image's bytes.

    Raises:
        ValueError: it is no image, or damaged, or of a kind that is not read.
        OSError: it cannot be read.
    """
    with _errors(), Image.open(source) as image:
        if 0 in image.size:
            raise ValueError("expected pixels; it has none")
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":  # a phone's JPEG and its preview
            raise ValueError(f"expected one picture; it has {frames}: save one of them")
        if image.mode not in EIGHT_BITS:
            expected = "expected grey or RGB with 8 bits a channel"
            raise ValueError(f"{expected}; it is {image.mode}: save it as one of these")
        coloured = ImageOps.exif_transpose(image).convert("RGBA")
        coloured.thumbnail((4 * SIDE, 4 * SIDE), Image.Resampling.BOX)
    grey = np.asarray(coloured.convert("L"), np.float32) / np.float32(255)
    opacity = np.asarray(coloured.getchannel("A"), np.float32) / np.float32(255)
    return grey if opacity.min() == 1 else grey * opacity + _paper(grey, opacity) * (1 - opacity)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Let what Pillow raises, whose decoders raise anything, be a `ValueError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (FileNotFoundError, PermissionError, IsADirectoryError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise ValueError("expected an image, as PNG or JPEG; received something else") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = Image.MAX_IMAGE_PIXELS or 0
        raise ValueError(
            f"expected at most {limit // 1_000_000} million pixels; it has more: make it smaller"
        ) from None
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _paper(grey: Grey, opacity: Grey) -> float:
    """Return the grey value to put behind an image that is transparent in parts."""
    shown = grey[opacity > 0.5]
    if not shown.size:
        return 1.0
    if shown.std() < 0.1:  # nothing but ink
        return 0.0 if shown.mean() > 0.5 else 1.0
    return float(np.median(shown))
