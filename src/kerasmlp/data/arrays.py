"""The four arrays of a data set, checked and in one form."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

DEFLATE_LIMIT = 1032
"""The largest compression ratio of deflate, see https://zlib.net/zlib_tech.html."""
IN_MEMORY_LIMIT = 2**33
"""The largest array that is read into memory, in bytes: 8 GiB."""
LARGEST_LABEL = 65_535


class Arrays(NamedTuple):
    """Images, uint8 `[examples, height, width, channels]`, and labels, int32 `[examples]`.

    Images that stay in a file are a `numpy.memmap`.
    """

    train_data: NDArray[np.uint8]
    train_label: NDArray[np.int32]
    test_data: NDArray[np.uint8]
    test_label: NDArray[np.int32]


def checked(source: str, members: tuple[NDArray[Any], ...]) -> Arrays:
    """Return x_train, y_train, x_test and y_test as `Arrays`. A ValueError names the wrong array."""
    x_train, y_train, x_test, y_test = members
    train_data, test_data = _images(source, "x_train", x_train), _images(source, "x_test", x_test)
    train_label, test_label = _labels(source, "y_train", y_train), _labels(source, "y_test", y_test)
    for part, images, labels in (("training", train_data, train_label), ("test", test_data, test_label)):
        if len(images) != len(labels):
            raise ValueError(
                f"{source}: expected one label for each {part} image;"
                f" received {len(images)} images and {len(labels)} labels"
            )
    if train_data.shape[1:] != test_data.shape[1:]:
        raise ValueError(
            f"{source}: expected training and test images of the same shape;"
            f" received {train_data.shape[1:]} and {test_data.shape[1:]}"
        )
    return Arrays(train_data, train_label, test_data, test_label)


def _images(source: str, member: str, images: NDArray[Any]) -> NDArray[np.uint8]:
    if images.dtype != np.uint8:
        raise ValueError(f"{source}: expected {member} as bytes 0-255 (uint8); received {images.dtype}")
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise ValueError(
            f"{source}: expected {member} of shape [examples, height, width] or"
            f" [examples, height, width, 1 or 3], not empty; received {list(images.shape)}"
        )
    return images


def _labels(source: str, member: str, labels: NDArray[Any]) -> NDArray[np.int32]:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"{source}: expected {member} as integers of shape [examples], not empty;"
            f" received {labels.dtype} of shape {list(labels.shape)}"
        )
    if labels.min() < 0 or labels.max() > LARGEST_LABEL:
        raise ValueError(
            f"{source}: expected the labels {member} from 0 to {LARGEST_LABEL:,};"
            f" received {labels.min()} to {labels.max()}"
        )
    return labels.astype(np.int32)
