"""What TensorBoard's Projector shows: the last hidden layer's activations, with labels and images."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray
from PIL import Image
from tensorboard.plugins.projector.metadata import PROJECTOR_FILENAME
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from kerasmlp import atomic

POINTS = 2000
SPRITE_SIDE = 8192
"""Pixels that Projector takes along each side of the picture of all images."""


def write(
    folder: Path,
    activations: NDArray[np.float32],
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    said: NDArray[Any],
) -> None:
    """Write the first `POINTS` examples for Projector, fewer if their images are large.

    Args:
        folder: of a sub-run.
        activations: `[examples, units]`.
        images: `[examples, height, width, channels]`.
        labels: `[examples]`.
        said: the predicted classes, `[examples]`.

    Raises:
        OSError: it cannot be written.
    """
    height, width, channels = images.shape[1:]
    columns, rows = SPRITE_SIDE // width, SPRITE_SIDE // height
    count = min(POINTS, len(images), columns * rows)
    if not count or not activations[:count].any():
        return  # Projector would take zeros for text, and fail
    columns = min(columns, int(np.ceil(np.sqrt(count))))
    rows = -(-count // columns)
    sprite = np.zeros((rows * columns, height, width, channels), np.uint8)
    sprite[:count] = images[:count]
    sprite = sprite.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    sprite = sprite.reshape(rows * height, columns * width, channels)
    png = io.BytesIO()
    Image.fromarray(sprite.squeeze()).save(png, format="png")
    lines = [f"{label}\t{name}" for label, name in zip(labels[:count], said[:count], strict=True)]

    config = ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name = "hidden"
    embedding.tensor_shape.extend(activations[:count].shape)
    embedding.tensor_path = "hidden.bytes"
    embedding.metadata_path = "labels.tsv"
    embedding.sprite.image_path = "sprite.png"
    embedding.sprite.single_image_dim.extend([width, height])
    atomic.write(folder / "hidden.bytes", activations[:count].astype("<f4").tobytes())
    atomic.write(folder / "labels.tsv", "\n".join(["label\tsaid", *lines, ""]).encode())
    atomic.write(folder / "sprite.png", png.getvalue())
    atomic.write(folder / PROJECTOR_FILENAME, text_format.MessageToString(config).encode())
