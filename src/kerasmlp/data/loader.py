"""The data of a run, as `MNISTLoader` holds it. Where it comes from is in `sources`."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from kerasmlp.data.sources import read


class MNISTLoader:
    """The handbook's loader: images and labels in memory, drawn in batches.

    Pixels stay bytes, a quarter of the memory of float32; `get_batch` scales what it draws.

    Args:
        data: `auto`, `mnist`, `mnist5k` or a path; see `sources.read`.
        seed: what the draws of `get_batch` follow from; None takes a new one each time.

    Attributes:
        name: what the data is, `mnist` for instance: under `auto`, what was found.
        train_data: uint8 `[num_train_data, height, width, channels]`.
        train_label: int32 `[num_train_data]`.
        test_data: uint8 `[num_test_data, height, width, channels]`.
        test_label: int32 `[num_test_data]`.

    Raises:
        ValueError: the data is not what the source should hold.
        OSError: the data cannot be read.
    """

    def __init__(self, data: str = "auto", seed: int | None = None) -> None:
        arrays, self.name = read(data)
        self.train_data, self.train_label, self.test_data, self.test_label = arrays
        self._random = np.random.default_rng(seed)

    @property
    def num_train_data(self) -> int:
        """Number of training images."""
        return len(self.train_data)

    @property
    def num_test_data(self) -> int:
        """Number of test images."""
        return len(self.test_data)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.train_data.shape[1:]
        return height, width, channels

    @property
    def classes(self) -> int:
        """Number of classes: labels are below it."""
        return int(max(self.train_label.max(), self.test_label.max())) + 1

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the shapes, all labels and about a thousand of the images of each part.

        In hexadecimal. The images are ten runs of a hundred: where they are mapped, a touch of one
        brings up to 2 MB of the file into memory.
        """
        digest = hashlib.sha256()
        for images, labels in ((self.train_data, self.train_label), (self.test_data, self.test_label)):
            digest.update(str(images.shape).encode())
            digest.update(labels.tobytes())
            for first in range(0, len(images), max(100, len(images) // 10)):
                digest.update(images[first : first + 100].tobytes())
        return digest.hexdigest()

    def get_batch(self, batch_size: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Draw `batch_size` training examples with replacement: pixels in [0, 1], and labels."""
        chosen = self._random.integers(self.num_train_data, size=batch_size)
        return self.train_data[chosen].astype(np.float32) / 255.0, self.train_label[chosen]
