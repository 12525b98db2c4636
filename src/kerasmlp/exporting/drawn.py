"""Digits drawn on the page of a model: whether the page reads them as `kerasmlp.predict` does."""

import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from kerasmlp import photos
from kerasmlp.data import scale
from kerasmlp.exporting.strokes import drawn_digits

DRAWN_DIGITS, SEED = 100, 0
"""So many digits are drawn, from this seed."""


def digits_as_json() -> str:
    """Return the strokes of all digits, as `runtimes` takes them."""
    strokes, _ = drawn_digits(DRAWN_DIGITS, SEED)
    return json.dumps(strokes)


def compared(model: keras.Model, pictures: NDArray[np.uint8], by_page: NDArray[Any]) -> dict[str, int]:
    """Compare what the page reads with what `kerasmlp.predict` reads on pictures of its paper.

    A digit's centre of mass may lie halfway between two pixels, and the least difference then moves its
    image by one. So a digit that `predict` is certain of is read alike, too, if the page reads what the
    model reads in its image moved by a pixel. What the model is not certain of says little.

    Args:
        model: the model of the page.
        pictures: the papers, ink from 0 to 255, `[digits, side, side]`.
        by_page: the probabilities that the page finds, `[digits, classes]`.

    Returns:
        `drawn_equal`, `drawn_certain` and `drawn_alike`, see `Parity`.
    """
    equal, alike = [], []
    for number, digits in _predicted(model, pictures):
        label = int(by_page[number].argmax())
        equal.append([digit.predictions[0][0] for digit in digits] == [label])
        if len(digits) == 1 and not digits[0].mark:
            alike.append(label in _labels_near(model, digits[0].seen))
    return {"drawn_equal": sum(equal), "drawn_certain": len(alike), "drawn_alike": sum(alike)}


def _predicted(
    model: keras.Model, pictures: NDArray[np.uint8]
) -> Iterator[tuple[int, list[photos.Digit]]]:
    """Yield the number of each picture, and the digits that `kerasmlp.predict` finds in it."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.png") for number in range(len(pictures))]
        for path, ink in zip(paths, pictures, strict=True):
            Image.fromarray(255 - ink).save(path)
        predictions, _ = photos.predict(model, list(map(str, paths)))
    for each in predictions:
        yield int(Path(each.image).stem), each.digits


def _labels_near(model: keras.Model, seen: NDArray[np.uint8]) -> set[int]:
    """Return what the model reads in an image, and in the eight that are moved by a pixel."""
    moved = [np.roll(seen, by, axis=(0, 1)) for by in itertools.product((-1, 0, 1), repeat=2)]
    probabilities = model(scale(tf.constant(np.stack(moved))), training=False).numpy()
    return set(probabilities.argmax(axis=1).tolist())
