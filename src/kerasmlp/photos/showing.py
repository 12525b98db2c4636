"""A picture of what was read: each image with its digits in boxes, beside them what the model saw."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from kerasmlp.photos.prediction import Digit, Prediction

WIDTH = 1000
"""The width of the picture, in pixels."""
ROW = 240
"""The height of the row of an image, in pixels."""
TILE, GAP = 112, 8
"""The side of a digit as the model saw it, and the space between two of them, in pixels."""
COLUMNS = 6
"""The number of digits beside each other."""
LIMIT = 100
"""The number of images that are shown, at most."""


def shown(predictions: Sequence[Prediction]) -> NDArray[np.uint8]:
    """Return a picture, uint8 `[height, 1000, 3]`, with a row for each of the first 100 images."""
    rows = predictions[:LIMIT]
    canvas = Image.new("RGB", (WIDTH, (ROW + GAP) * len(rows) + GAP), "white")
    for number, prediction in enumerate(rows):
        top = GAP + number * (ROW + GAP)
        canvas.paste(_boxed(prediction), (GAP, top))
        for each, digit in enumerate(prediction.digits[: 2 * COLUMNS]):
            row, column = divmod(each, COLUMNS)
            left = 2 * GAP + ROW + column * (TILE + GAP)
            _draw(canvas, digit, left, top + row * (TILE + GAP))
    return np.asarray(canvas)


def _boxed(prediction: Prediction) -> Image.Image:
    """Return an image with a box around each digit."""
    image = Image.fromarray(prediction.picture).convert("RGB")
    draw = ImageDraw.Draw(image)
    for digit in prediction.digits:
        left, top, right, bottom = np.multiply(digit.box, (*image.size, *image.size))
        draw.rectangle((left - 2, top - 2, right + 1, bottom + 1), outline="red")
    return image


def _draw(canvas: Image.Image, digit: Digit, left: int, top: int) -> None:
    """Draw a digit as the model saw it, with the most probable class below."""
    seen = Image.fromarray(digit.seen[..., 0]).resize((TILE - 16, TILE - 16), Image.Resampling.NEAREST)
    canvas.paste(seen, (left, top))
    label, share = digit.predictions[0]
    caption = f"{label}{digit.mark} {share:.0%}"
    ImageDraw.Draw(canvas).text((left, top + TILE - 16), caption, "black", ImageFont.load_default(13))
