"""Reads folders of IDX files, MNIST's own format, plain or gzipped."""

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
MAPPED_FROM = 2**30
"""Bytes from which on a plain IDX file is not read into memory but mapped, to be read batch by batch."""


def read_idx_folder(folder: Path) -> Arrays:
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
    return checked(str(folder), tuple(_idx(path) for path in paths))


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
