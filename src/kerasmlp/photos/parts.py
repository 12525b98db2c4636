"""Connected ink: whether it is a digit, a part of one, or something else."""

import dataclasses
import itertools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

from kerasmlp.photos.fields import RIM, Field, Mask

SMALLEST = 0.02
"""The smallest digit, as a share of the longer side of the image: 6 mm on a page."""
ROUND = 0.45
"""Ink whose stroke is wider than this share of its length is a spot."""
FULL = 0.6
"""It also has this share of its box, which a small, blurred digit has not."""
BLUR = 3
"""By how many pixels the blur of a small image widens a stroke."""
THIN = 25
"""Ink that is longer than this many times its stroke, and crosses the whole field, is a line."""
LEFT = 0.8
"""Ink of which this share is near a line is what is left of it."""
TALL = 0.45
"""Ink with less than this share of the height of the tallest digit is not a digit, but part of one."""
NEAR = 0.15
"""A part belongs to a digit that is nearer than this share of the tallest digit's height."""


@dataclasses.dataclass(frozen=True)
class Box:
    """The rows and columns of something in an image; the last ones do not belong to it."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def length(self) -> int:
        """The longer side."""
        return max(self.height, self.width)

    @classmethod
    def round(cls, parts: Iterable["Part"]) -> "Box":
        """Return the smallest box round all parts."""
        boxes = np.array([dataclasses.astuple(part.box) for part in parts])
        return cls(*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())

    def holds(self, other: "Box") -> bool:
        """Whether the other box lies in this one."""
        rows = self.top <= other.top and other.bottom <= self.bottom
        return rows and self.left <= other.left and other.right <= self.right

    def gaps(self, other: "Box") -> tuple[int, int]:
        """Return the rows and the columns between two boxes. Negative: how much they share."""
        rows = max(self.top, other.top) - min(self.bottom, other.bottom)
        return rows, max(self.left, other.left) - min(self.right, other.right)


@dataclasses.dataclass(frozen=True)
class Part:
    """Connected ink.

    Attributes:
        number: in the image of numbered parts.
        area: in pixels.
        stroke: the width of its widest stroke, in pixels.
        from_rim: how near to the edge of the field it comes, in pixels, and how far from it.
    """

    number: int
    box: Box
    area: int
    stroke: float
    from_rim: tuple[float, float]


def parts_of(mask: Mask, lines: Mask, field: Field) -> tuple[list[Part], NDArray[np.int64]]:
    """Return connected ink, and an image with the number of each part.

    Grains, and what is left of `lines`, are no parts.
    """
    numbered = label(mask)
    away = ndimage.distance_transform_edt(np.pad(field.inside, 1))[1:-1, 1:-1]
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbered), 1):
        box = Box(rows.start, columns.start, rows.stop, columns.stop)
        if 4 * box.length < SMALLEST * max(mask.shape):
            continue
        ink = numbered[rows, columns] == number
        if lines[rows, columns][ink].mean() > LEFT:
            continue
        stroke = 2 * float(ndimage.distance_transform_edt(np.pad(ink, 1)).max())
        depths = away[rows, columns][ink]
        found.append(Part(number, box, int(ink.sum()), stroke, (depths.min(), depths.max())))
    return found, numbered


def why_no_digit(part: Part, field: Field) -> str:
    """Return what connected ink is if it is no digit; nothing if it may be one."""
    longer = max(field.inside.shape)
    if part.box.length < SMALLEST * longer:
        return f"a speck ({part.box.length / longer:.1%} of the longer side of the image)"
    filled = part.area > FULL * part.box.height * part.box.width
    if filled and part.stroke - BLUR > ROUND * part.box.length:
        return "a filled spot"
    if part.box.width > 3 * part.box.height:
        return "a line"
    if part.box.length > 0.9 * field.side and THIN * part.stroke < part.box.length:
        return "a line from edge to edge"
    if part.from_rim[1] < part.box.length / 4 and part.from_rim[0] <= RIM:
        return "a shadow or an edge at the border of the paper"
    return ""


def without_frames(parts: list[Part]) -> list[Part]:
    """Return connected ink without what is thin and lies round something thicker, or beside it."""
    solid = [part for part in parts if THIN * part.stroke > part.box.length]
    if not solid:
        return parts
    main = max(solid, key=lambda part: part.area)

    def is_frame(part: Part) -> bool:
        long = part.box.length > max(8 * part.stroke, main.box.length / 4)
        return part.stroke < 0.35 * main.stroke and (long or part.box.holds(main.box))

    return [part for part in parts if not is_frame(part)]


def grouped(bodies: list[Part], parts: list[Part]) -> list[list[Part]]:
    """Return the parts of each digit: bodies that lie over each other, and the fragments near them."""
    if not bodies:
        return []
    tallest = max(part.box.height for part in bodies)
    groups = [[part] for part in bodies if part.box.height > TALL * tallest]
    while pair := _of_one_digit([Box.round(group) for group in groups], tallest):
        groups[pair[0]] += groups.pop(pair[1])
    areas = [sum(part.area for part in group) for group in groups]
    boxes = [Box.round(group) for group in groups]
    taken = {part.number for group in groups for part in group}
    for part in parts:
        gaps = [np.hypot(*np.maximum(part.box.gaps(box), 0)) for box in boxes]
        nearest = int(np.argmin(gaps))
        is_near = gaps[nearest] < NEAR * tallest and part.area > areas[nearest] / 20
        if part.number not in taken and is_near:
            groups[nearest].append(part)
    return groups


def _of_one_digit(boxes: list[Box], tallest: int) -> tuple[int, int] | None:
    """Return the numbers of two boxes that are of one digit, which is broken."""
    for (one, first), (other, second) in itertools.combinations(enumerate(boxes), 2):
        rows, columns = first.gaps(second)
        over = -columns > 0.4 * min(first.width, second.width)
        apart = -rows < 0.2 * min(first.height, second.height) and columns < 0.1 * tallest
        if (over or apart) and rows < NEAR * tallest:
            return one, other
    return None
