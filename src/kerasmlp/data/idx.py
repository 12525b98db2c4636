"""Reads folders of IDX files, the format of MNIST."""

import gzip
import math
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kerasmlp.data.arrays import DEFLATE_LIMIT, IN_MEMORY_LIMIT, Arrays, checked

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
MAPPING_THRESHOLD = 2**30
"""A plain IDX file with this many bytes of data or more is mapped, and read batch by batch."""


def read_idx_folder(folder: Path) -> Arrays:
    """Return the arrays of the four IDX files in a folder, each plain or gzipped.

    Raise a ValueError if a file is not an IDX file of bytes, and an OSError if it cannot be read.
    """
    return checked(str(folder), tuple(_read_file(_find(folder, name)) for name in IDX_FILES))


def _find(folder: Path, name: str) -> Path:
    dotted = name.replace("-idx", ".idx")  # in some copies of MNIST
    for spelling in (name, f"{name}.gz", dotted, f"{dotted}.gz"):
        if (folder / spelling).is_file():
            return folder / spelling
    raise FileNotFoundError(
        f"{folder}: expected the files {', '.join(IDX_FILES)}, plain or as .gz; {name} is missing"
    )


def _read_file(path: Path) -> NDArray[np.uint8]:
    """Return the array in an IDX file of bytes. No library was found that checks what it reads.

    The format, see http://yann.lecun.com/exdb/mnist/: two zero bytes, 8 for "unsigned byte", the number
    of dimensions; each dimension as a big-endian 32-bit number; the bytes.
    """
    dimensions = 3 if "idx3" in path.name else 1
    magic = bytes((0, 0, 8, dimensions))
    is_gzipped = path.suffix == ".gz"
    try:
        with gzip.open(path) if is_gzipped else path.open("rb") as file:
            header = file.read(4 + 4 * dimensions)
            if header[:4] != magic or len(header) < 4 + 4 * dimensions:
                raise ValueError(
                    f"{path}: expected an IDX file of bytes with {dimensions} dimension(s), which starts"
                    f" with {magic.hex(' ')}; received {header.hex(' ') or 'nothing'}"
                )
            shape = tuple(np.frombuffer(header, ">u4", offset=4).tolist())
            expected = math.prod(shape)
            limit = path.stat().st_size * (DEFLATE_LIMIT if is_gzipped else 1)
            if expected > limit:
                raise ValueError(f"{path}: its header claims {list(shape)}, more than the file can hold")
            if not is_gzipped and expected == limit - len(header) >= MAPPING_THRESHOLD:
                return np.memmap(path, np.uint8, "r", len(header), shape)
            if expected > IN_MEMORY_LIMIT:
                raise ValueError(
                    f"{path}: expected at most {IN_MEMORY_LIMIT:,} bytes; its header claims"
                    f" {expected:,}. For larger data, use a plain IDX file."
                )
            body = _read_at_most(file, expected + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: expected a gzipped IDX file; reading it failed: {error}") from error
    if len(body) != expected:
        received = f"{len(body):,}" if len(body) < expected else "more"
        raise ValueError(f"{path}: expected {expected:,} bytes of data; received {received}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _read_at_most(file: BufferedIOBase, size: int) -> bytes:
    """Read up to `size` bytes. Allocate memory only for bytes that are there."""
    parts = []
    while size and (part := file.read(min(size, 1 << 20))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
