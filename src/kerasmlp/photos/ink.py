"""The ink in a field: what is darker, or lighter, than the paper round it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.transform import hough_line, hough_line_peaks

from kerasmlp.photos.fields import Field, Mask
from kerasmlp.photos.reading import Grey, fitted, resized

LEAST_CONTRAST = 0.1
"""The smallest contrast of ink and paper that is accepted. Black on white is 1."""
LEAST_DIFFERENCE = 0.05
"""The smallest difference of the two in brightness, where white is 1."""
CLOSING = 1 / 6
"""Half of the width of what is too wide for a stroke, as a share of the field's longer side."""
HALF = 0.5
"""The scale at which the paper is looked for."""
LINE = 0.03
"""The contrast that a line has to have along its whole length."""
ASTRAY = 2
"""A line may be this many pixels away from a straight one."""
WIDEST = 8
"""A line is at most twice as many pixels wide."""
TURN = 15
"""By how many degrees a line may be turned."""
WHOLE = 0.85
"""The share of a field's width that a line has to cross."""


@dataclasses.dataclass(frozen=True)
class Ink:
    """The ink in a field.

    Attributes:
        amount: at each pixel, from 0 to 1, `[height, width]`.
        noise: the standard deviation of what paper has in its place, near each pixel.
        paper: the brightness of the paper, if `is_light` that of the negative.
        is_light: whether the ink is lighter than the paper.
        lines: what is near a line from edge to edge, as a fold or a rule, which is taken away.
    """

    amount: Grey
    noise: Grey
    paper: Grey
    is_light: bool
    lines: Mask


def ink(grey: Grey, field: Field) -> Ink | None:
    """Return the ink in a field, without lines from edge to edge, or None if all of it is paper."""
    even = field.even.astype(np.float32)
    rough = _smoothed(grey, even, field.side / 20)
    other = field.inside & ~ndimage.binary_dilation(field.even)
    if not other.any():
        return None
    is_light = bool((grey - rough)[other].mean() > 0)
    grey = 1 - grey if is_light else grey
    paper = _paper(grey, field)
    amount = np.where(field.inside, np.maximum(1 - grey / np.maximum(paper, 0.05), 0), 0)
    noise = np.sqrt(_smoothed(amount**2, even, field.side / 12))
    amount = np.where(paper - grey > LEAST_DIFFERENCE, amount, np.minimum(amount, LEAST_CONTRAST / 2))
    amount, lines = _without_lines(amount, field)
    return Ink(amount, noise, paper, is_light, lines)


def _smoothed(values: Grey, weights: Grey, sigma: float) -> Grey:
    """Return the mean of the values near each pixel that have weights, computed on smaller images."""
    scale = min(1.0, 4 / sigma)
    smooth = [
        ndimage.gaussian_filter(resized(image, scale), sigma * scale)
        for image in (values * weights, weights)
    ]
    return fitted(smooth[0] / np.maximum(smooth[1], 1e-3), values.shape)


def _paper(grey: Grey, field: Field) -> Grey:
    """Return the brightness of the paper under dark ink.

    A closing removes everything as narrow as a stroke, and leaves what is wide, as a shadow, and what
    reaches beyond the field. The border of the image is repeated, or the closing would also remove the
    darker end of a shadow.
    """
    radius = max(2, round(CLOSING * field.side * HALF))
    half = resized(np.where(field.inside, grey, 0), HALF)
    closed = ndimage.grey_closing(np.pad(half, radius, mode="edge"), size=2 * radius + 1)
    paper = fitted(closed[radius:-radius, radius:-radius], grey.shape)
    return _smoothed(paper, field.inside.astype(np.float32), field.side / 50)


def _without_lines(amount: Grey, field: Field) -> tuple[Grey, Mask]:
    """Return the ink without thin lines that cross the whole field, and what is near such a line."""
    seen = amount > np.median(amount[field.inside]) + LINE
    near = ndimage.maximum_filter(seen, 2 * ASTRAY + 1)
    if near[field.inside].mean() > 0.5:  # grain: it would be on any line
        return amount, np.zeros(amount.shape, bool)
    on_line, around = _level_lines(amount, seen, near, field.inside, field.side)
    amount = np.where(on_line, 0, amount)
    turned = amount.T, seen.T, near.T, field.inside.T  # where upright lines are level
    upright, around_upright = _level_lines(*turned, field.side)
    return np.where(upright.T, 0, amount), around | around_upright.T


def _level_lines(amount: Grey, seen: Mask, near: Mask, inside: Mask, side: int) -> tuple[Mask, Mask]:
    """Return what belongs to level lines across a field of that side, and what is near them."""
    lines, width = np.zeros(seen.shape, bool), 0
    for rows, columns in _candidates(seen, inside, side):
        if near[rows, columns].mean() >= WHOLE:
            lines[rows, columns] = True
            width = max(width, _width(amount > np.median(amount[rows, columns]) / 2, rows, columns))
    if not width:
        return lines, lines
    strong = amount > np.median(amount[lines]) / 2
    stroke = _opened(strong, (2 * width + 4, 1))  # of a digit that crosses the line
    thick = _opened(strong, (width + 6, width + 6))
    on_line, around = (ndimage.maximum_filter(lines, width + more) for more in (6, 12))
    return on_line & ~stroke, around & ~thick


def _opened(mask: Mask, size: tuple[int, int]) -> Mask:
    """Return what rectangles of a size fill; 20 times as fast as a binary opening of scipy."""
    opened: NDArray[np.uint8] = ndimage.grey_opening(mask.astype(np.uint8), size)
    return opened > 0


def _width(strong: Mask, rows: NDArray[Any], columns: NDArray[Any]) -> int:
    """Return how many pixels wide a line is: in how many lines beside it most pixels have ink."""
    beside = np.clip(rows + np.arange(-WIDEST, WIDEST + 1)[:, None], 0, len(strong) - 1)
    return int((strong[beside, columns].mean(axis=1) > 0.5).sum())


def _candidates(seen: Mask, inside: Mask, side: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield the rows and columns of level lines that have some ink, within the field."""
    angles = np.pi / 2 + np.deg2rad(np.arange(-TURN, TURN + 0.1, 0.5))  # of a line's normal
    space, _, distances = hough_line(seen & inside, angles)
    peaks = hough_line_peaks(space, angles, distances, threshold=side / 4, num_peaks=20)
    for _, angle, distance in zip(*peaks, strict=True):
        columns = np.arange(seen.shape[1])
        rows = np.rint((distance - columns * np.cos(angle)) / np.sin(angle)).astype(int)
        valid = (rows >= 0) & (rows < len(seen))
        valid[valid] = inside[rows[valid], columns[valid]]
        if valid.sum() > side / 4:
            yield rows[valid], columns[valid]
