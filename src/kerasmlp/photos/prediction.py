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
from kerasmlp.photos.preparing import prepared
from kerasmlp.photos.reading import read

TOP = 3
"""Number of classes in a prediction."""
STDIN = "-"


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The prediction of a model for an image.

    Attributes:
        image: the path of the image, or `-`.
        predictions: the most probable classes, at most three, with their probabilities.
        seen: the image as the model saw it, uint8 `[height, width, 1]`.
    """

    image: str
    predictions: list[tuple[int, float]]
    seen: NDArray[np.uint8]


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
    seen: list[tuple[str, NDArray[np.uint8]]] = []
    errors: list[Exception] = []
    for name in track(names, "reading", console=console, transient=True, disable=hidden):
        try:
            seen.append((name, _prepared(name, *shape[:2])))
        except (ValueError, OSError) as error:
            errors.append(error)
    if not seen:
        return [], errors
    inputs = scale(tf.constant(np.stack([image for _, image in seen])))
    predictions = [
        Prediction(name, [(int(label), float(row[label])) for label in np.argsort(-row)[:TOP]], image)
        for (name, image), row in zip(seen, model(inputs, training=False).numpy(), strict=True)
    ]
    return predictions, errors


def _names(argument: str) -> list[str]:
    if argument == STDIN or not Path(argument).is_dir():
        return [argument]
    suffixes = Image.registered_extensions()
    found = sorted(str(path) for path in Path(argument).iterdir() if path.suffix.lower() in suffixes)
    if not found:
        raise ValueError(f"{argument}: expected a folder with images; received a folder without images")
    return found


def _prepared(name: str, height: int, width: int) -> NDArray[np.uint8]:
    source = io.BytesIO(sys.stdin.buffer.read()) if name == STDIN else Path(name)
    try:
        return prepared(read(source), height, width)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
