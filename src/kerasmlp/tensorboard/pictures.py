"""Pictures of images, weights, confusion matrix, mistakes and predicted numbers.

A picture is uint8: `[height, width]` in grey, or `[height, width, 3]` in colour.
"""

import functools
import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]

UNITS = 100
"""The number of units of a layer to show, at most."""
MISTAKES = 16
"""The number of mistakes to show, at most."""
BINS = 100
"""The bins of each axis, in a picture of predicted numbers."""
SIDE = 1000
"""The largest width and height of a picture in pixels, unless a single image is larger."""
GAP = 4
"""The pixels between images."""
IMAGE = 84
"""The side in pixels that a captioned image is enlarged to: four of them fill a card of TensorBoard."""
LINE, TEXT = 18, 15
"""The height of a caption, and of its letters, in pixels."""
CELL = 36
"""The side in pixels of a cell with a number, in a confusion matrix."""

_font = functools.cache(ImageFont.load_default)


def captioned(images: NDArray[np.uint8], captions: Sequence[str]) -> Picture:
    """Return the images, `[images, height, width, channels]`, in a square, each with a caption below."""
    return tiles(images, captions, scale=max(1, IMAGE // max(images.shape[1:3])))


def tiles(
    images: NDArray[np.uint8],
    captions: Sequence[str] = (),
    scale: int = 1,
    gap: int = GAP,
    side: int = SIDE,
) -> Picture:
    """Return the images, `[images, height, width, channels]` with 1 or 3 channels, in rows and columns.

    Each image is enlarged by the factor `scale`, with `gap` pixels around it, and its caption below.
    Images that do not fit into a square of `side` pixels are left out.
    """
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width, channels = images.shape[1:]
    row_height, column_width = height + gap + (LINE if captions else 0), width + gap
    columns = max(1, min(math.ceil(math.sqrt(len(images))), side // column_width))
    rows = max(1, min(math.ceil(len(images) / columns), side // row_height))
    canvas = np.full((rows * row_height + gap, columns * column_width + gap, channels), 255, np.uint8)
    places = [(gap + y * row_height, gap + x * column_width) for y, x in np.ndindex(rows, columns)]
    for image, (y, x) in zip(images, places, strict=False):
        canvas[y : y + height, x : x + width] = image
    picture = Image.fromarray(canvas.squeeze(-1) if channels == 1 else canvas)
    draw = ImageDraw.Draw(picture)
    for caption, (y, x) in zip(captions, places, strict=False):
        draw.text((x, y + height), caption, fill="black", font=_font(TEXT))
    return np.asarray(picture)


def first_layer(kernel: NDArray[np.floating], image_shape: tuple[int, ...]) -> Picture:
    """Return the weights of each unit as an image of `image_shape`, `(height, width, channels)`.

    The kernel is `[pixels, units]`. White is 4 standard deviations of all weights, grey 0, black -4.
    """
    weights = kernel[:, :UNITS].T.reshape(-1, *image_shape)
    white = 4 * kernel.std() or 1.0
    return tiles(np.rint(127.5 * (1 + np.clip(weights / white, -1, 1))).astype(np.uint8))


def confusion(matrix: NDArray[np.integer]) -> Picture:
    """Return a confusion matrix, counts `[class, predicted class]`, as a table with named axes.

    The colour of a cell shows its share of its row: blue for right, red for wrong. With many classes the
    cells have no numbers.
    """
    classes = len(matrix)
    cell = max(1, min(CELL, SIDE // classes))
    share = np.sqrt(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1))
    right = np.eye(classes)[..., None]
    colours = np.where(right, (1.0, 0.6, 0.0), (0.0, 1.0, 1.0)) * share[..., None]
    pixels = np.rint(255 * (1 - colours)).astype(np.uint8).repeat(cell, axis=0).repeat(cell, axis=1)
    picture = _titled(
        np.pad(pixels, [(CELL, 0), (CELL, 0), (0, 0)], constant_values=255), "predicted", "true"
    )
    draw = ImageDraw.Draw(picture)

    def write(text: object, row: float, column: float, colour: str = "black") -> None:
        middle = (LINE + CELL + (column + 0.5) * cell, LINE + CELL + (row + 0.5) * cell)
        draw.text(middle, str(text), fill=colour, font=_font(TEXT), anchor="mm")

    before = -0.5 - CELL / 2 / cell  # the row and the column of the labels
    for number in range(0, classes, math.ceil(CELL / cell)):
        write(number, before, number)
        write(number, number, before)
    for row, column in np.argwhere(matrix) if cell == CELL else ():
        dark = row == column and share[row, column] > 0.7
        write(matrix[row, column], row, column, "white" if dark else "black")
    return np.asarray(picture)


def mistakes(
    images: NDArray[np.uint8], labels: NDArray[np.integer], probabilities: NDArray[np.floating]
) -> Picture:
    """Return the images that are most wrong: their class has the lowest probability.

    The images are `[images, height, width, channels]`, their probabilities `[images, classes]`.
    """
    predicted = probabilities.argmax(axis=1)
    (wrong,) = np.nonzero(predicted != labels)
    if not len(wrong):
        return captioned(images[:0], ["no mistakes"])  # below an empty place
    worst = wrong[np.argsort(probabilities[wrong, labels[wrong]], kind="stable")][:MISTAKES]
    captions = [f"{labels[i]}: {predicted[i]} {probabilities[i, predicted[i]]:.0%}" for i in worst]
    return captioned(images[worst], captions)


def predictions(true: NDArray[np.floating], predicted: NDArray[np.floating]) -> Picture:
    """Return predicted against true numbers, both `[examples]`: true to the right, predicted upwards.

    Each axis has the same `BINS`, and its range in its title. The darker a bin, the more examples it
    has. Right predictions are on the grey diagonal. Numbers that are infinite or NaN are left out.
    """
    finite = np.isfinite(true) & np.isfinite(predicted)
    true, predicted = true[finite], predicted[finite]
    both = np.concatenate([true, predicted])
    low, high = (both.min(), both.max()) if len(both) else (0.0, 1.0)
    counts = np.histogram2d(predicted, true, BINS, [(low, high if high > low else low + 1.0)] * 2)[0]
    shade = 1 - np.sqrt(counts / max(1, counts.max()))
    shade[(counts == 0) & np.eye(BINS, dtype=bool)] = 0.8
    pixels = np.rint(255 * shade[::-1]).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    across, upwards = (f"{name}: {low:.4g} to {high:.4g}" for name in ("true", "predicted"))
    return np.asarray(_titled(pixels, across, upwards))


def _titled(pixels: Picture, across: str, upwards: str) -> Image.Image:
    """Return a picture with the title of one axis above it, and that of the other on its left."""
    picture = Image.fromarray(
        np.pad(pixels, [(LINE, 0), (LINE, 0)] + [(0, 0)] * (pixels.ndim - 2), constant_values=255)
    )
    for title, length in ((upwards, pixels.shape[0]), (across, pixels.shape[1])):
        line = Image.new(picture.mode, (length, LINE), "white")
        ImageDraw.Draw(line).text(
            (length / 2, LINE / 2), title, fill="black", font=_font(TEXT), anchor="mm"
        )
        if title is upwards:
            picture.paste(line.rotate(90, expand=True), (0, LINE))
        else:
            picture.paste(line, (LINE, 0))
    return picture


def png(picture: Picture) -> bytes:
    """Return the content of a PNG file of the picture."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="png", compress_level=1)
    return file.getvalue()
