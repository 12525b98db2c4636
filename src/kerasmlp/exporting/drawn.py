"""Digits drawn on the page of a model: whether the page reads them as `kerasmlp.predict` does."""

import json
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kerasmlp import photos
from kerasmlp.exporting.strokes import drawn_digits

DRAWN_DIGITS, SEED = 100, 0
"""So many digits are drawn, from this seed."""


def digits_as_json() -> str:
    """Return the strokes of all digits, as `runtimes` takes them."""
    strokes, _ = drawn_digits(DRAWN_DIGITS, SEED)
    return json.dumps(strokes)


def compared(model: keras.Model, pictures: NDArray[np.uint8], by_page: NDArray[Any]) -> dict[str, Any]:
    """Return how many drawn digits `kerasmlp.predict` is certain of, and what share the page reads so.

    What a model is not certain of says little: a pixel more or less would change it.

    Args:
        model: the model of the page.
        pictures: the papers, ink from 0 to 255, `[digits, side, side]`.
        by_page: the probabilities that the page finds, `[digits, classes]`.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder, f"{number}.png")) for number in range(len(pictures))]
        for path, ink in zip(paths, pictures, strict=True):
            Image.fromarray(255 - ink).save(path)
        predictions, _ = photos.predict(model, paths)
    read = {path: [label] for path, label in zip(paths, by_page.argmax(axis=1).tolist(), strict=True)}
    equal = [
        [digit.predictions[0][0] for digit in each.digits] == read[each.image]
        for each in predictions
        if not any(digit.mark for digit in each.digits)
    ]
    return {"drawn_certain": len(equal), "drawn_equal": float(np.mean(equal)) if equal else None}
