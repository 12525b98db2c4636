"""What a model says of photos and other images: the most probable digits."""

import dataclasses
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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
STDIN = "-"


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What the model says of an image.

    Attributes:
        image: its path, or `-`.
        predictions: the most probable classes, at most three, and their probabilities.
        seen: what the model saw, uint8 `[height, width, 1]`.
    """

    image: str
    predictions: list[tuple[int, float]]
    seen: NDArray[np.uint8]


def predict(model: keras.Model, images: Sequence[str]) -> tuple[list[Prediction], list[Exception]]:
    """Return what `model` says of each image, and an error for each image that cannot be read.

    Args:
        model: built, for grey images.
        images: paths of images and of folders of images, and `-` for an image on standard input.

    Raises:
        ValueError: the model takes no grey images, or a folder has no image.
        OSError: a folder cannot be read.
    """
    shape = tuple(model.get_build_config()["input_shape"][1:])
    if len(shape) != 3 or shape[-1] != 1:
        raise ValueError(f"expected a model of grey images; received one that takes {shape}")
    names = [name for given in images for name in _files(given)]
    seen: list[tuple[str, NDArray[np.uint8]]] = []
    errors: list[Exception] = []
    for name in _progress(names):
        try:
            seen.append((name, _seen(name, shape)))
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


def _files(given: str) -> list[str]:
    """Return the images that an argument names."""
    if given == STDIN or not Path(given).is_dir():
        return [given]
    endings = Image.registered_extensions()
    found = sorted(str(path) for path in Path(given).iterdir() if path.suffix.lower() in endings)
    if not found:
        raise ValueError(f"expected a folder with images; {given} has none")
    return found


def _seen(name: str, shape: tuple[Any, ...]) -> NDArray[np.uint8]:
    """Return an image as the model will see it."""
    source = io.BytesIO(sys.stdin.buffer.read()) if name == STDIN else Path(name)
    try:
        return prepared(read(source), *shape[:2])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _progress(names: list[str]) -> Iterator[str]:
    """Yield the names, with a bar on a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal and len(names) > 10:
        console.print(f"reading {len(names)} images")
    yield from track(names, "reading", console=console, transient=True, disable=not console.is_terminal)
