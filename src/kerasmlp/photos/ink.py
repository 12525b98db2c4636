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
    is_light = bool((grey - rough)[other].sum() > 0)
    grey = 1 - grey if is_light else grey
    paper = _paper(grey, field)
    amount = np.where(field.inside, np.clip(1 - grey / np.maximum(paper, 0.05), 0, 1), 0)
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
    lines_near = np.zeros(amount.shape, bool)
    seen = amount > np.median(amount[field.inside]) + LINE
    near = ndimage.maximum_filter(seen, 2 * ASTRAY + 1)
    if near[field.inside].mean() > 0.5:  # grain: it would be on any line
        return amount, lines_near
    for upright in (False, True):
        lines, width = np.zeros(seen.shape, bool), 0
        for rows, columns in _lines(seen, field, upright):
            if near[rows, columns].mean() >= WHOLE:
                lines[rows, columns] = True
                strong = amount > np.median(amount[rows, columns]) / 2
                turned = (strong.T, columns, rows) if upright else (strong, rows, columns)
                width = max(width, _width(*turned))
        if width:
            run = 2 * width + 4
            strong = amount > np.median(amount[lines]) / 2
            stroke = _opened(strong, (1, run) if upright else (run, 1))
            on_line = ndimage.maximum_filter(lines, width + 6) & ~stroke  # not a digit that crosses it
            amount = np.where(on_line, 0, amount)
            thick = _opened(strong, (width + 6, width + 6))
            lines_near |= ndimage.maximum_filter(lines, width + 12) & ~thick
    return amount, lines_near


def _opened(mask: Mask, size: tuple[int, int]) -> Mask:
    """Return what rectangles of a size fill; 20 times as fast as a binary opening of scipy."""
    opened: NDArray[np.uint8] = ndimage.grey_opening(mask.astype(np.uint8), size)
    return opened > 0


def _width(seen: Mask, across: NDArray[Any], along: NDArray[Any]) -> int:
    """Return how many pixels wide a line is: in how many lines beside it most pixels have ink."""
    beside = np.clip(across + np.arange(-WIDEST, WIDEST + 1)[:, None], 0, len(seen) - 1)
    return int((seen[beside, along].mean(axis=1) > 0.5).sum())


def _lines(seen: Mask, field: Field, upright: bool) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield the rows and columns of lines that may cross a field: level, or upright, ones."""
    middle = 0 if upright else np.pi / 2  # the angle of a line's normal
    angles = middle + np.deg2rad(np.arange(-TURN, TURN + 0.1, 0.5))
    space, _, distances = hough_line(seen & field.inside, angles)
    peaks = hough_line_peaks(space, angles, distances, threshold=field.side / 4, num_peaks=20)
    for _, angle, distance in zip(*peaks, strict=True):
        along = np.arange(seen.shape[0 if upright else 1])
        one, other = (np.cos(angle), np.sin(angle)) if upright else (np.sin(angle), np.cos(angle))
        across = np.rint((distance - along * other) / one).astype(int)
        rows, columns = (along, across) if upright else (across, along)
        valid = (across >= 0) & (across < seen.shape[1 if upright else 0])
        rows, columns = rows[valid], columns[valid]
        inside = field.inside[rows, columns]
        if inside.sum() > field.side / 4:
            yield rows[inside], columns[inside]
