"""The dashboard Projector: activations of the last hidden layer, with labels and images."""

from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray
from PIL import ImageColor
from tensorboard.plugins.projector.metadata import PROJECTOR_FILENAME
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from kerasmlp.checkpoints import atomic
from kerasmlp.tensorboard import pictures

POINTS = 2000
"""The number of examples to show, at most."""
SPRITE_SIDE = 8192
"""The largest width and height, in pixels, of the picture of all images."""


def write(
    folder: Path,
    activations: NDArray[np.float32],
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    predicted: NDArray[Any],
) -> None:
    """Write the first `POINTS` examples into the folder of a sub-run, or fewer if the images are large.

    The activations are `[examples, units]`, the images `[examples, height, width, channels]`. What is
    black of an image has the colour of its label, since Projector colours no points by itself.

    Raises:
        OSError: a file cannot be written.
    """
    height, width = images.shape[1:3]
    count = min(POINTS, len(images), (SPRITE_SIDE // width) * (SPRITE_SIDE // height))
    activations = activations[:count]
    if not activations.any():
        return  # Projector would read zeros as text, and fail
    sprite = pictures.tiles(_coloured(images[:count], labels[:count]), gap=0, side=SPRITE_SIDE)
    pairs = zip(labels[:count], predicted[:count], strict=True)
    lines = ["label\tpredicted\n", *(f"{label}\t{prediction}\n" for label, prediction in pairs)]

    config = ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name = "hidden"
    embedding.tensor_shape.extend(activations.shape)
    embedding.tensor_path = "hidden.bytes"
    embedding.metadata_path = "labels.tsv"
    embedding.sprite.image_path = "sprite.png"
    embedding.sprite.single_image_dim.extend([width, height])
    atomic.write(folder / "hidden.bytes", activations.astype("<f4").tobytes())
    atomic.write(folder / "labels.tsv", "".join(lines).encode())
    atomic.write(folder / "sprite.png", pictures.png(sprite))
    atomic.write(folder / PROJECTOR_FILENAME, text_format.MessageToString(config).encode())


def _coloured(images: NDArray[np.uint8], labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the images, `[examples, height, width, 3]`, their black as the colour of their label."""
    names, index = np.unique(labels, return_inverse=True)
    hues = [
        ImageColor.getrgb(f"hsv({360 * each // len(names)}, 100%, 65%)") for each in range(len(names))
    ]
    colour = np.array(hues)[:, np.newaxis]  # [names, 1, 3]
    brightness = np.arange(256)[:, np.newaxis]
    shades = np.rint(colour + brightness * (1 - colour / 255)).astype(np.uint8)  # [names, 256, 3]
    of_each = index[:, np.newaxis, np.newaxis]
    last = images.shape[3] - 1
    parts = [shades[of_each, images[..., min(part, last)], part] for part in range(3)]
    return np.stack(parts, axis=-1)
