"""Drawn scenes of digits that people wrote: a sheet on a desk, a box, a page, a pencil, a number.

A scene is a grey image, from 0, black, to 1, white, and the digits that it shows, from left to right.
"""

import dataclasses

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.transform import ProjectiveTransform, warp

Grey = np.ndarray


@dataclasses.dataclass(frozen=True)
class Scene:
    grey: Grey
    digits: tuple[int, ...]

    def image(self):
        """The scene as an image of bytes."""
        return Image.fromarray(np.rint(255 * np.clip(self.grey, 0, 1)).astype(np.uint8))


class Writer:
    """Writes digits of people, taken from a data set in turn, and takes photos of them.

    Args:
        images: uint8 `[examples, 28, 28, 1]`; labels: `[examples]`.
        seed: of all that is drawn.
    """

    def __init__(self, images, labels, seed):
        self.random = np.random.default_rng(seed)
        self.images, self.labels = images, labels

    def digit(self, height, label=None):
        """The ink of a digit, cut out, `height` pixels high, and its label."""
        chosen = self.random.choice(np.flatnonzero(self.labels == label)) if label is not None else None
        chosen = self.random.integers(len(self.images)) if chosen is None else chosen
        image = self.images[chosen, ..., 0]
        image = image[ndimage.find_objects((image > 0).astype(np.uint8))[0]]
        image = np.pad(image, 2)
        size = (
            round(image.shape[1] * height / (image.shape[0] - 4)),
            round(image.shape[0] * height / (image.shape[0] - 4)),
        )
        large = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)) / 255
        sharp = self.random.uniform(1.5, 4)
        return np.clip((large - 0.35) * sharp + 0.5, 0, 1), int(self.labels[chosen])

    def written(self, shape, height, at=None):
        """Ink of one digit on a paper of that shape, and the label."""
        ink, label = self.digit(height)
        paper = np.zeros(shape)
        place(paper, ink, at or self.anywhere(shape, ink.shape))
        return paper, label

    def anywhere(self, shape, size, margin=0.08):
        """The corner of a random place for something of that size, away from the edge."""
        free = [
            (margin * length, max(margin * length, (1 - margin) * length - of))
            for length, of in zip(shape, size, strict=True)
        ]
        return [round(self.random.uniform(*each)) for each in free]

    def light(self, shape, darkest):
        """Uneven light: a shadow whose edge goes through the image, 1 where it is brightest."""
        rows, columns = np.mgrid[: shape[0], : shape[1]] / max(shape)
        angle, where = self.random.uniform(0, 2 * np.pi), self.random.uniform(0.2, 0.8)
        across = (rows - 0.5) * np.sin(angle) + (columns - 0.5) * np.cos(angle) + 0.5
        softness = self.random.uniform(0.05, 0.4)
        return 1 - self.random.uniform(0, darkest) / (1 + np.exp((across - where) / softness * 4))

    def taken(self, grey, shadow=0.5, noise=0.05, blur=1.5):
        """What a camera makes of it: a shadow, blur and noise."""
        grey = ndimage.gaussian_filter(
            grey * self.light(grey.shape, shadow), self.random.uniform(0, blur)
        )
        return grey + self.random.normal(0, self.random.uniform(0, noise), grey.shape)

    def sheet(self, margin=None, sides=4, turned=15, tilted=0.05, desk=None, side=900):
        """A sheet on a darker desk, which is seen on 1 to 4 sides."""
        random = self.random
        width, height = (int(each) for each in random.permutation([side, round(0.75 * side)]))
        margin = (random.uniform(0.02, 0.3) if margin is None else margin) * width
        paper, pen = random.uniform(0.7, 0.95), random.uniform(0.05, 0.3)
        desk = paper * (random.uniform(0.1, 0.6) if desk is None else desk)
        seen = random.permutation(4) < sides  # the left, the upper, the right, the lower side
        first, last = np.array([margin, margin]), np.array([width - margin, height - margin])
        shown = np.clip(last - first, 0, None)  # columns, rows
        first, last = (
            np.where(seen[:2], first, -0.4 * width),
            np.where(seen[2:], last, last + 0.4 * width),
        )
        size = np.rint(last - first).astype(int)
        ink, label = self.digit(random.uniform(0.25, 0.6) * shown.min())
        free = shown - ink.shape[::-1]
        corner = margin - first + random.uniform(0.1, 0.9, 2) * np.clip(free, 0, None)
        written = np.zeros(size[::-1])
        place(written, ink, corner[::-1])
        flat = np.array([(0, 0), (size[0], 0), tuple(size), (0, size[1])], float)
        angle = np.deg2rad(random.uniform(-turned, turned))
        turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
        middle = np.array([width, height]) / 2
        corners = (flat + first - middle) @ turn + middle
        corners += random.uniform(-tilted, tilted, corners.shape) * shown.min()
        view = ProjectiveTransform.from_estimate(flat, corners)
        sheet = paper * (1 - written) + pen * written
        grey = warp(sheet, view.inverse, output_shape=(height, width), order=1, mode="edge")
        outside = warp(np.ones(sheet.shape), view.inverse, output_shape=(height, width), order=1) < 0.5
        grain = desk * (
            1 + random.uniform(0, 0.1) * ndimage.gaussian_filter(random.normal(0, 3, (height, width)), 2)
        )
        grey = np.where(outside, grain, grey)
        return Scene(self.taken(grey), (label,))

    def box(self, line=None, digit=300, side=800):
        """A printed box round a digit, turned a little."""
        random = self.random
        line = random.integers(2, 9) if line is None else line
        ink, label = self.digit(digit)
        if ink.shape[1] > 1.2 * digit:
            ink, label = self.digit(digit, 1)
        paper = np.zeros((side, side))
        corner = self.anywhere(paper.shape, ink.shape, 0.15)
        place(paper, ink, corner)
        frame = Image.new("L", (side, side))
        draw = ImageDraw.Draw(frame)
        gaps = random.uniform(0.08, 0.35, 4) * digit
        left, top = corner[1] - gaps[0], corner[0] - gaps[1]
        right, bottom = corner[1] + ink.shape[1] + gaps[2], corner[0] + ink.shape[0] + gaps[3]
        draw.rectangle((left, top, right, bottom), outline=255, width=int(line))
        both = np.maximum(paper, np.asarray(frame) / 255 * random.uniform(0.6, 1))
        both = ndimage.rotate(both, random.uniform(-4, 4), reshape=False, order=1)
        grey = random.uniform(0.75, 1) * (1 - both * random.uniform(0.7, 0.95))
        return Scene(self.taken(grey, 0.3, 0.04, 1), (label,))

    def page(self, millimetres, dpi=300):
        """A scanned A4 page with one small digit."""
        shape = round(297 / 25.4 * dpi), round(210 / 25.4 * dpi)
        paper, label = self.written(shape, millimetres / 25.4 * dpi)
        grey = self.random.uniform(0.9, 1) - paper * self.random.uniform(0.6, 0.85)
        return Scene(grey + self.random.normal(0, 0.02, shape).astype(np.float32), (label,))

    def pencil(self, shape=(1000, 1400), height=100, pencil=140 / 255, paper=200 / 255):
        """A faint, small digit."""
        ink, label = self.written(shape, height)
        return Scene(self.taken(paper + (pencil - paper) * ink, 0.2, 0.02, 1), (label,))

    def number(self, count=None, shape=(600, 900)):
        """Digits beside each other, which do not touch."""
        random = self.random
        count = random.integers(2, 5) if count is None else count
        height = random.uniform(0.2, 0.4) * shape[0] * min(1, 3 / count)
        inks, labels = zip(
            *(self.digit(height * random.uniform(0.85, 1.15)) for _ in range(count)), strict=True
        )
        gap = random.uniform(0.15, 0.6) * height
        width = sum(ink.shape[1] for ink in inks) + gap * (count - 1)
        if width > 0.9 * shape[1]:
            return self.number(count, shape)
        paper = np.zeros(shape)
        row = random.uniform(0.2, 0.6) * (shape[0] - height)
        column = random.uniform(0.05, 0.95) * (shape[1] - width)
        for ink in inks:
            down = random.uniform(-0.1, 0.1) * height
            place(paper, ink, (round(row + down), round(column)))
            column += ink.shape[1] + gap
        grey = random.uniform(0.75, 1) - paper * random.uniform(0.45, 0.7)
        return Scene(self.taken(grey, 0.4), labels)

    def blank(self, kind, shape=(600, 800)):
        """Paper with nothing on it, a speck, or a fold."""
        random = self.random
        paper = np.full(shape, random.uniform(0.75, 0.95))
        if kind == "speck":
            radius = random.uniform(1, 5)
            at = [random.uniform(0.1, 0.9) * length for length in shape]
            rows, columns = np.mgrid[: shape[0], : shape[1]]
            dot = (rows - at[0]) ** 2 + ((columns - at[1]) * random.uniform(0.6, 1.6)) ** 2 < radius**2
            paper = paper - 0.6 * dot
        elif kind == "fold":
            rows, columns = np.mgrid[: shape[0], : shape[1]]
            angle = random.choice([0, np.pi / 2]) + random.uniform(-0.05, 0.05)
            away = (rows - shape[0] / 2) * np.sin(angle) + (columns - shape[1] / 2) * np.cos(angle)
            paper = paper - random.uniform(0.1, 0.35) * np.exp(-((away / random.uniform(1.5, 5)) ** 2))
            paper = paper * np.where(away > 0, 1, random.uniform(0.9, 1))
        return Scene(self.taken(paper, 0.4), ())


def place(paper, ink, corner):
    """Add ink to a paper, with its upper left corner at a row and a column; outside it is cut off."""
    row, column = (int(each) for each in corner)
    top, left = max(row, 0), max(column, 0)
    part = ink[top - row : paper.shape[0] - row, left - column : paper.shape[1] - column]
    target = paper[top : top + part.shape[0], left : left + part.shape[1]]
    np.maximum(target, part[: target.shape[0], : target.shape[1]], out=target)
