"""Predicts the digits in photos and other images."""

import dataclasses
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track

from kerasmlp.data import scale
from kerasmlp.photos.finding import Found, find
from kerasmlp.photos.preparing import prepared
from kerasmlp.photos.reading import read, resized

TOP = 3
"""Number of classes in a prediction."""
CERTAIN = 0.9
"""A digit with a lower probability is marked as uncertain."""
SHOWN = 240
"""The longer side of the small copy of an image that a `Prediction` keeps, in pixels."""
STDIN = "-"


@dataclasses.dataclass(frozen=True)
class Digit:
    """The prediction of a model for one digit in an image.

    Attributes:
        box: left, top, right and bottom, as shares of the image's width and height.
        predictions: the most probable classes, at most three, with their probabilities.
        seen: the digit as the model saw it, uint8 `[height, width, 1]`.
        note: what one should know about it, or nothing.
    """

    box: tuple[float, float, float, float]
    predictions: list[tuple[int, float]]
    seen: NDArray[np.uint8]
    note: str

    @property
    def mark(self) -> str:
        """`?` if the most probable class has a probability below `CERTAIN`."""
        return "" if self.predictions[0][1] >= CERTAIN else "?"


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The predictions of a model for an image.

    Attributes:
        image: the path of the image, or `-`.
        digits: its digits, line by line, from left to right.
        picture: a small grey copy of it, upright, uint8 `[height, width]`.
    """

    image: str
    digits: list[Digit]
    picture: NDArray[np.uint8]


def predict(model: keras.Model, images: Sequence[str]) -> tuple[list[Prediction], list[Exception]]:
    """Return a prediction for each image, and an error for each image that cannot be read.

    Args:
        model: a built model that takes grey images.
        images: paths of images, paths of folders of images, and `-` for an image on standard input.

    Raises:
        ValueError: the model does not take grey images, or a folder has no images.
        OSError: a folder cannot be read.
    """
    shape = tuple(model.get_build_config()["input_shape"][1:])
    if len(shape) != 3 or shape[-1] != 1:
        raise ValueError(f"expected a model of grey images; received a model of images of shape {shape}")
    names = [name for argument in images for name in _names(argument)]
    console = Console(stderr=True)
    hidden = not console.is_terminal
    if hidden and len(names) > 10:
        console.print(f"reading {len(names)} images")
    predictions: list[Prediction] = []
    errors: list[Exception] = []
    for name in track(names, "reading", console=console, transient=True, disable=hidden):
        try:
            predictions.append(_predicted(model, name, *shape[:2]))
        except (ValueError, OSError) as error:
            errors.append(error)
    return predictions, errors


def _names(argument: str) -> list[str]:
    if argument == STDIN or not Path(argument).is_dir():
        return [argument]
    suffixes = Image.registered_extensions()
    found = sorted(str(path) for path in Path(argument).iterdir() if path.suffix.lower() in suffixes)
    if not found:
        raise ValueError(f"{argument}: expected a folder with images; received a folder without images")
    return found


def _predicted(model: keras.Model, name: str, height: int, width: int) -> Prediction:
    source = io.BytesIO(sys.stdin.buffer.read()) if name == STDIN else Path(name)
    try:
        grey = read(source)
        found = find(grey)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    seen = np.stack([prepared(each, height, width) for each in found])
    probabilities = model(scale(tf.constant(seen)), training=False).numpy()
    small = resized(grey, min(1.0, SHOWN / max(grey.shape)))
    picture = np.rint(255 * small).astype(np.uint8)
    return Prediction(
        name, [_digit(*each) for each in zip(found, probabilities, seen, strict=True)], picture
    )


def _digit(found: Found, probabilities: NDArray[np.float32], seen: NDArray[np.uint8]) -> Digit:
    top = [(int(label), float(probabilities[label])) for label in np.argsort(-probabilities)[:TOP]]
    note = "it is wider than it is high; if two digits touch, write them apart" if found.is_wide else ""
    return Digit(found.box, top, seen, note)
