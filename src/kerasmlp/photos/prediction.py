"""Predicts the digits in photos and other images."""

import dataclasses
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

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

Source = Path | IO[bytes]


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


def predict(
    model: keras.Model, images: Sequence[str | IO[bytes]]
) -> tuple[list[Prediction], list[Exception]]:
    """Return a prediction for each image, and an error for each image that cannot be read.

    Args:
        model: a built model that takes grey images.
        images: paths of images, paths of folders of images, `-` for an image on standard input, and
            open binary files, whose name is `-`, too.

    Raises:
        ValueError: the model does not take grey images, or a folder has no images.
        OSError: a folder cannot be read.
    """
    shape = tuple(model.get_build_config()["input_shape"][1:])
    if len(shape) != 3 or shape[-1] != 1:
        raise ValueError(f"expected a model of grey images; received a model of images of shape {shape}")
    sources = [source for image in images for source in _sources(image)]
    console = Console(stderr=True)
    hidden = not console.is_terminal or len(sources) == 1
    if hidden and len(sources) > 10:
        console.print(f"reading {len(sources)} images")
    predictions: list[Prediction] = []
    errors: list[Exception] = []
    for name, source in track(sources, "reading", console=console, transient=True, disable=hidden):
        try:
            predictions.append(_predicted(model, name, source, *shape[:2]))
        except ValueError as error:
            errors.append(ValueError(f"{name}: {error}"))
        except OSError as error:
            errors.append(error)
    return predictions, errors


def _sources(image: str | IO[bytes]) -> list[tuple[str, Source]]:
    """Return an image, or the images of a folder, with their names."""
    if not isinstance(image, str):
        return [(STDIN, image)]
    if image == STDIN:
        return [(STDIN, io.BytesIO(sys.stdin.buffer.read()))]
    if not Path(image).is_dir():
        return [(image, Path(image))]
    suffixes = Image.registered_extensions()
    found = sorted(path for path in Path(image).iterdir() if path.suffix.lower() in suffixes)
    if not found:
        raise ValueError(f"{image}: expected a folder with images; received a folder without images")
    return [(str(path), path) for path in found]


def _predicted(model: keras.Model, name: str, source: Source, height: int, width: int) -> Prediction:
    grey = read(source)
    found = find(grey)
    seen = np.stack([prepared(each, height, width) for each in found])
    probabilities = model(scale(tf.constant(seen)), training=False).numpy()
    small = resized(grey, min(1.0, SHOWN / max(grey.shape)))
    picture = np.rint(255 * small).astype(np.uint8)
    digits = [_digit(*each) for each in zip(found, probabilities, seen, strict=True)]
    return Prediction(name, digits, picture)


def _digit(found: Found, probabilities: NDArray[np.float32], seen: NDArray[np.uint8]) -> Digit:
    top = [(int(label), float(probabilities[label])) for label in np.argsort(-probabilities)[:TOP]]
    note = "it is wider than it is high; if two digits touch, write them apart" if found.is_wide else ""
    return Digit(found.box, top, seen, note)
