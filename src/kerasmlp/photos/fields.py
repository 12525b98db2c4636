"""Where something may be written: the sheet on a desk, the cell of a form, or the whole image.

The brightness of paper changes slowly, in a shadow too. At the edge of a sheet, and at a printed line,
it changes at once. So an even region that fills its convex hull is a field.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import ConvexHull
from skimage.measure import label

from kerasmlp.photos.reading import Grey

Mask = NDArray[np.bool_]

DARK = 0.15
"""Is added to the brightness before its logarithm is taken: the noise of black counts less."""
STEEPEST = 0.05
"""The largest change of an even region, in the logarithm of the brightness, a pixel."""
SMOOTHING = 1.2
"""The standard deviation, in pixels, over which the change is measured."""
LARGEST = 12
"""How many even regions may be fields: the largest."""
SMALLEST = 0.003
"""The smallest field, as a share of the image."""
WIDE = 0.05
"""The smallest even region that is paper if no field has digits, as a share of the image."""
ALL = 0.95
"""A field with this share of the image is the whole image."""
RIM = 3
"""The width of the band, inside of the hull, where an edge of a field is looked for, in pixels."""
EDGE, FILLED, SQUARE = 0.8, 0.4, 0.85
"""The shares that make a field: of the rim that is even; of the hull; of the hull in a rectangle."""
TURN = 25.0
"""A sheet that is turned by more degrees is not turned back."""


@dataclasses.dataclass(frozen=True)
class Field:
    """A part of an image to look for digits in.

    Attributes:
        inside: whether a pixel belongs to it, `[height, width]`.
        even: whether the paper is seen there.
        corners: of the polygon round it, columns and rows, `[corners, 2]`.
    """

    inside: Mask
    even: Mask
    corners: NDArray[np.float64]

    @property
    def side(self) -> int:
        """The longer side of the rectangle round it, in pixels."""
        return int(np.ptp(self.corners, axis=0).max()) + 1

    @property
    def rim(self) -> Mask:
        """The pixels next to its edge, or to that of the image."""
        inner = ndimage.minimum_filter(self.inside, 2 * RIM + 1, mode="constant")
        return self.inside & ~inner

    @property
    def squareness(self) -> float:
        """The share of the smallest rectangle round it that it fills."""
        columns, rows = self.corners.T
        area = abs(columns @ np.roll(rows, -1) - rows @ np.roll(columns, -1)) / 2
        edges = self.corners - np.roll(self.corners, 1, axis=0)
        along = edges / np.hypot(*edges.T)[:, None]
        across = along @ [(0, 1), (-1, 0)]  # a quarter turn
        sides = [np.ptp(self.corners @ axes.T, axis=0) for axes in (along, across)]
        return float(area / (sides[0] * sides[1]).min())

    @property
    def angle(self) -> float:
        """By how many degrees its edges are turned, clockwise; 0 if too little of them is seen."""
        begins = np.roll(self.corners, 1, axis=0)
        across = self.corners - begins
        turns = (np.rad2deg(np.arctan2(across[:, 1], across[:, 0])) + 45) % 90 - 45
        lengths = np.hypot(*across.T)
        known = ~(_at_border(begins, self.inside) & _at_border(self.corners, self.inside))
        known &= np.abs(turns) < TURN
        if lengths[known].sum() < self.side / 4:
            return 0.0
        order = np.argsort(turns[known])
        summed = np.cumsum(lengths[known][order])
        return float(turns[known][order][np.searchsorted(summed, summed[-1] / 2)])  # weighted median


def fields(grey: Grey) -> list[Field]:
    """Return the fields of an image, the smallest first, the whole last; one may lie in another."""
    change = ndimage.gaussian_gradient_magnitude(np.log(grey + DARK), SMOOTHING)
    steepest = np.clip(np.percentile(change, 99.9) / 3, STEEPEST / 3, STEEPEST)  # less if it is blurred
    numbered = label(change < steepest, connectivity=1)
    areas = np.bincount(numbered.ravel())
    areas[0] = 0  # the edges
    wide = areas > WIDE * grey.size
    largest = [number for number in np.argsort(-areas)[:LARGEST] if areas[number] > SMALLEST * grey.size]
    found = [field for number in largest if (field := _field(numbered == number)) is not None]
    found.sort(key=lambda field: field.inside.sum())
    if not found or found[-1].inside.mean() < ALL:
        found.append(_whole(wide[numbered]))
    return found


def _whole(even: Mask) -> Field:
    """Return the whole image as a field."""
    height, width = even.shape
    corners = [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)]
    return Field(np.ones_like(even), even, np.array(corners, float))


def _field(even: Mask) -> Field | None:
    """Return the field of an even region, or None if the region does not fill its hull."""
    (rows,) = np.nonzero(even.any(axis=1))
    first, last = even[rows].argmax(axis=1), even.shape[1] - 1 - even[rows, ::-1].argmax(axis=1)
    if len(rows) < 2 or first.min() == last.max():
        return None
    ends = np.concatenate([np.stack([column, rows], axis=1) for column in (first, last)])
    corners = ends[ConvexHull(ends).vertices].astype(float)
    picture = Image.new("1", even.shape[::-1])
    ImageDraw.Draw(picture).polygon([tuple(corner) for corner in corners], fill=1)
    field = Field(np.asarray(picture, np.uint8) > 0, even, corners)
    if even.sum() < FILLED * field.inside.sum():
        return None
    if not _at_border(corners, even).any() and field.squareness < SQUARE:
        return None
    near = ndimage.binary_dilation(even, iterations=2)
    return field if near[field.rim].mean() >= EDGE else None


def _at_border(points: NDArray[np.float64], image: Mask) -> Mask:
    """Return which points, columns and rows, lie at the border of an image."""
    near = (points < RIM) | (points >= np.array(image.shape[::-1]) - RIM)
    return np.any(near, axis=1)
