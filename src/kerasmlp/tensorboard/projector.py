"""The dashboard Projector: activations of the last hidden layer, with labels and images."""

from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray
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
    """Write the first `POINTS` examples for Projector, or fewer if their images are large.

    Args:
        folder: the folder of a sub-run.
        activations: `[examples, units]`.
        images: `[examples, height, width, channels]`.
        labels: the true classes, `[examples]`.
        predicted: the predicted classes, `[examples]`.

    Raises:
        OSError: a file cannot be written.
    """
    height, width = images.shape[1:3]
    count = min(POINTS, len(images), (SPRITE_SIDE // width) * (SPRITE_SIDE // height))
    if not count or not activations[:count].any():
        return  # Projector would read zeros as text, and fail
    sprite = pictures.tiles(images[:count], gap=0, side=SPRITE_SIDE)
    pairs = zip(labels[:count], predicted[:count], strict=True)
    lines = ["label\tpredicted", *(f"{label}\t{prediction}" for label, prediction in pairs), ""]

    config = ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name = "hidden"
    embedding.tensor_shape.extend(activations[:count].shape)
    embedding.tensor_path = "hidden.bytes"
    embedding.metadata_path = "labels.tsv"
    embedding.sprite.image_path = "sprite.png"
    embedding.sprite.single_image_dim.extend([width, height])
    atomic.write(folder / "hidden.bytes", activations[:count].astype("<f4").tobytes())
    atomic.write(folder / "labels.tsv", "\n".join(lines).encode())
    atomic.write(folder / "sprite.png", pictures.png(sprite))
    atomic.write(folder / PROJECTOR_FILENAME, text_format.MessageToString(config).encode())
