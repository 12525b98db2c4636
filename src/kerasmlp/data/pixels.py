"""Images of any numbers as bytes, where only one meaning of the numbers is possible."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasmlp.data.advice import WrongArraysError, for_each

WHITE = 255.0
NEARLY_ONE = 1.001
"""A pixel of 1 that was rounded, or interpolated, is not above this."""
ROWS = 1000
"""Number of images that are converted at a time."""

Members = Mapping[str, NDArray[Any]]
"""The training and the test images, by their names in the file."""


def as_bytes(members: Members) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Return images as bytes, and what was done for that, in words.

    Bytes stay as they are. Numbers from 0 to 1 with a fraction, and booleans, are multiplied by 255.
    Other numbers from 0 to 255 are rounded. Both parts have the same meaning. Rows of a square number of
    pixels become images `[height, width]`, and channels become the last axis.

    Raises:
        WrongArraysError: the numbers or shapes have several meanings, or none.
    """
    said = []
    if any(_is_flat(array) for array in members.values()):
        said.append("rows of pixels are square images")
    if any(_has_channels_first(array) for array in members.values()):
        said.append("channels, which are the first axis, become the last")
    shaped = {name: _shaped(name, array, members) for name, array in members.items()}
    if all(array.dtype == np.uint8 for array in shaped.values()):
        return list(shaped.values()), said
    factor, low, high = _factor(shaped)
    dtypes = " and ".join(dict.fromkeys(str(array.dtype) for array in shaped.values()))
    done = "multiplied by 255" if factor == WHITE else "taken as 0 to 255"
    said.append(f"pixels ({dtypes}, {low:g} to {high:g}) are {done}")
    return [_scaled(array, factor) for array in shaped.values()], said


def square_side(pixels: int) -> int:
    """Return the side of a square image of that many pixels; 0 if there is none, or it is only one."""
    side = math.isqrt(pixels)
    return side if side**2 == pixels and side > 1 else 0


def _is_flat(array: NDArray[Any]) -> bool:
    return array.ndim == 2 and bool(square_side(array.shape[1]))


def _has_channels_first(array: NDArray[Any]) -> bool:
    return array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[3] not in (1, 3)


def _shaped(name: str, array: NDArray[Any], members: Members) -> NDArray[Any]:
    """Return images as `[examples, height, width]` or `[examples, height, width, channels]`."""
    if array.ndim not in (2, 3, 4) or not array.size:
        raise WrongArraysError(
            "expected images of the shape [examples, height, width], not empty;"
            f" {name} is {list(array.shape)}"
        )
    if _has_channels_first(array):
        return np.moveaxis(array, 1, -1)
    if _is_flat(array):
        side = square_side(array.shape[1])
        return array.reshape(-1, side, side)
    if array.ndim > 2:
        return array
    width = array.shape[1]
    side = square_side(width // 3) if width % 3 == 0 else 0
    shape = f"-1, 3, {side}, {side}" if side else "-1, HEIGHT, WIDTH"
    colours = f"if they have one colour after the other (otherwise with {side}, {side}, 3), "
    raise WrongArraysError(
        f"expected images, or rows of a square number of pixels; {name} has rows of {width:,}",
        for_each(list(members), f"{{}}.reshape({shape})"),
        where=colours if side else "with the height and the width in it, ",
    )


def _factor(members: Members) -> tuple[float, float, float]:
    """Return by what the pixels are multiplied, the lowest and the highest one."""
    for name, array in members.items():
        if array.dtype.kind not in "biuf":
            raise WrongArraysError(f"expected pixels as numbers; {name} has {array.dtype}")
    ranges = {name: (float(array.min()), float(array.max())) for name, array in members.items()}
    low, high = min(low for low, _ in ranges.values()), max(high for _, high in ranges.values())
    if not all(math.isfinite(end) for ends in ranges.values() for end in ends):
        zeros = for_each(list(members), "np.nan_to_num({}, nan=0, posinf=0, neginf=0)")
        raise WrongArraysError("expected finite pixels; some are NaN or infinite", zeros)
    if low < 0 or high > WHITE:
        raise _beyond(members, low, high)
    small = [name for name, (_, highest) in ranges.items() if highest <= NEARLY_ONE]
    if len(small) < len(members):
        for name in small:
            _check_is_dark(name, members, high)
        return 1.0, low, high
    if any(array.dtype.kind in "iu" for array in members.values()):
        raise WrongArraysError(
            f"expected pixels from 0 to 255; those of {' and '.join(members)} are the whole numbers 0"
            " and 1, so that 1 may be white or nearly black",
            for_each(list(members), "{} * 255"),
            where="if it is white, ",
        )
    return WHITE, low, high


def _beyond(members: Members, low: float, high: float) -> WrongArraysError:
    """Return the error about pixels outside of 0 to 255."""
    least = min(low, 0.0)
    bytes_as_int8 = all(array.dtype == np.int8 for array in members.values())
    scaled = "{}.view(np.uint8)" if bytes_as_int8 else f"({{}} - {least!r}) / {high - least!r}"
    return WrongArraysError(
        f"expected pixels from 0 to 255, or from 0 to 1; those of {' and '.join(members)} are from"
        f" {low:g} to {high:g}",
        for_each(list(members), scaled),
        where="" if bytes_as_int8 else f"if {least:g} is black and {high:g} is white, ",
    )


def _check_is_dark(name: str, members: Members, high: float) -> None:
    """Raise an error if one part of the images is from 0 to 1, and is not nearly black beside others.

    Only whole test images can be that: a fraction is of white, and nobody trains on black images.
    """
    array = members[name]
    if name == next(iter(members)) or array.dtype.kind == "b" or (array != np.rint(array)).any():
        raise WrongArraysError(
            f"expected the same meaning of all pixels; those of {name} are from 0 to 1, and others are"
            f" up to {high:g}",
            for_each([name], "{} * 255.0"),
            where="if only they were scaled, ",
        )


def _scaled(array: NDArray[Any], factor: float) -> NDArray[np.uint8]:
    """Return numbers times a factor, rounded, as bytes. Takes no memory for floats of all of them."""
    scaled = np.empty(array.shape, np.uint8)
    for first in range(0, len(array), ROWS):
        scaled[first : first + ROWS] = np.rint(array[first : first + ROWS] * factor)
    return scaled
