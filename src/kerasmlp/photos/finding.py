"""Finds the digits in an image."""

import dataclasses

import numpy as np
from scipy import ndimage
from skimage.filters import apply_hysteresis_threshold

from kerasmlp.photos.fields import RIM, Field, Mask, fields
from kerasmlp.photos.ink import LEAST_CONTRAST, Ink, ink
from kerasmlp.photos.parts import Box, grouped, parts_of, why_no_digit, without_frames
from kerasmlp.photos.reading import Grey, fitted, resized

WORKING_SIDE = 640
"""Digits are looked for in an image with this many pixels along its longer side."""
LARGEST_SCALE = 8
"""A small image is enlarged by at most this factor."""
FULL_SIDE = 120
"""A digit is cut out with at most this many pixels along its longer side."""
FAINTEST, FAINT = 3.5, 2.5
"""How many times the noise ink has somewhere, and all the way to there."""
SHEET, PAPER = 0.92, 0.75
"""What fills this share of a rectangle, or is even in this share of its hull, is no stroke."""
WIDE = 1.2
"""A digit that is wider than this many times its height may be two that touch."""


@dataclasses.dataclass(frozen=True)
class Found:
    """A digit in an image.

    Attributes:
        grey: the part of the image with the digit in its middle.
        paper: the brightness of the paper there.
        mask: where the ink of the digit is.
        is_light: whether the ink is lighter than the paper; `paper` is then that of the negative.
        angle: by how many degrees the paper is turned, clockwise.
        box: left, top, right and bottom, as shares of the width and the height of the image.
    """

    grey: Grey
    paper: Grey
    mask: Mask
    is_light: bool
    angle: float
    box: tuple[float, float, float, float]

    @property
    def size(self) -> tuple[int, int]:
        """The height and the width of the digit in `grey`, in pixels."""
        rows, columns = ndimage.find_objects(self.mask.astype(np.uint8))[0]
        return rows.stop - rows.start, columns.stop - columns.start

    @property
    def is_wide(self) -> bool:
        """Whether it may be two digits that touch."""
        height, width = self.size
        return width > WIDE * height


@dataclasses.dataclass(frozen=True, eq=False)
class _Digit:
    """A digit in the image in which it is looked for: its field, the ink of the field, its own ink."""

    field: Field
    ink: Ink
    mask: Mask
    box: Box


def find(grey: Grey) -> list[Found]:
    """Return the digits in an image, line by line, from left to right.

    They are dark on light paper, or the reverse.

    Raises:
        ValueError: there is no digit; it says what is seen in its place.
    """
    scale = min(LARGEST_SCALE, WORKING_SIDE / max(grey.shape))
    small = ndimage.gaussian_filter(resized(grey, scale), 1)
    digits: list[_Digit] = []
    seen: list[str] = []
    for field in fields(small):
        inner = [digit for digit in digits if field.inside[digit.mask].all()]
        if any(_is_sheet(digit.field) for digit in inner):
            continue
        found, others = _in_field(small, field)
        seen.extend(others)
        if all(_is_ink(digit.field, found) for digit in inner):
            digits = [digit for digit in digits if digit not in inner] + found
    if not digits:
        what = seen[-1] if seen else "no ink"
        raise ValueError(f"expected a digit in clear contrast to its paper; received {what}")
    return [_cut_out(grey, digit) for digit in _in_lines(digits)]


def _is_sheet(field: Field) -> bool:
    """Whether a field is too square, or too even, to be a stroke of a digit."""
    return field.squareness > SHEET or field.even.sum() > PAPER * field.inside.sum()


def _is_ink(field: Field, digits: list[_Digit]) -> bool:
    """Whether a field is nothing but a thick stroke of digits, which is even, too."""
    return any(digit.mask[field.even].mean() > 0.5 for digit in digits)


def _in_field(small: Grey, field: Field) -> tuple[list[_Digit], list[str]]:
    """Return the digits in a field, and what else is there."""
    found = ink(small, field)
    if found is None:
        return [], []
    strong = found.amount > np.maximum(LEAST_CONTRAST, FAINTEST * found.noise)
    if not strong.any():
        return [], []
    level = np.percentile(found.amount[strong], 90)
    faint = np.maximum(max(LEAST_CONTRAST / 2, 0.35 * level), FAINT * found.noise)
    mask = apply_hysteresis_threshold(found.amount - faint, 0, np.where(strong, 0, np.inf))
    parts, numbered = parts_of(mask, found.lines, field)
    parts = without_frames(parts)
    reasons = [why_no_digit(part, field) for part in parts]
    bodies = [part for part, reason in zip(parts, reasons, strict=True) if not reason]
    inner = [part for part in bodies if part.from_rim[0] > RIM]  # or what comes in from the edge
    digits = [
        _Digit(field, found, np.isin(numbered, [part.number for part in group]), Box.round(group))
        for group in grouped(inner or bodies, parts)
    ]
    return digits, [reason for reason in reasons if reason]


def _in_lines(digits: list[_Digit]) -> list[_Digit]:
    """Return digits in the order in which they are read."""
    lines: list[list[_Digit]] = []
    for digit in sorted(digits, key=lambda digit: digit.box.top + digit.box.bottom):
        middle = (digit.box.top + digit.box.bottom) / 2
        if lines and middle < max(each.box.bottom for each in lines[-1]):
            lines[-1].append(digit)
        else:
            lines.append([digit])
    return [digit for line in lines for digit in sorted(line, key=lambda digit: digit.box.left)]


def _cut_out(grey: Grey, digit: _Digit) -> Found:
    """Return a digit from the image in its full size, with room to turn it."""
    box, (height, width) = digit.box, digit.mask.shape
    room = box.length // 3 + 2
    first = np.maximum((box.top - room, box.left - room), 0)
    last = np.minimum((box.bottom + room, box.right + room), digit.mask.shape)
    small = tuple(slice(*each) for each in zip(first, last, strict=True))
    scale = np.divide(grey.shape, digit.mask.shape)
    begin, end = np.floor(first * scale).astype(int), np.ceil(last * scale).astype(int)
    part = grey[begin[0] : end[0], begin[1] : end[1]]
    part = resized(part, FULL_SIDE / max(part.shape))
    return Found(
        part,
        fitted(digit.ink.paper[small], part.shape),
        fitted(digit.mask[small].astype(np.float32), part.shape) > 0.5,
        digit.ink.is_light,
        digit.field.angle,
        (box.left / width, box.top / height, box.right / width, box.bottom / height),
    )
