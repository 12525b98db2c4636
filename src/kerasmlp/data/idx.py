"""Reads IDX files, the format of MNIST, by what they are: their names say nothing here."""

import gzip
import math
import zlib
from collections.abc import Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasmlp.data import content
from kerasmlp.data.arrays import DEFLATE_LIMIT, IN_MEMORY_LIMIT

TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4"}
"""The types of integers by their third byte."""
BYTES, INTEGERS = (8,), tuple(TYPES)
QMNIST_COLUMNS = 8
"""QMNIST has rows of 8 numbers of 32 bits in place of labels: the digit, who wrote it, and more."""
AGAIN = "it may be cut off: copy or download it again"
MAPPING_THRESHOLD = 2**30
"""A plain IDX file with this many bytes of data or more is mapped, and read batch by batch."""


def read_images(path: Path) -> NDArray[np.uint8]:
    """Return the images in an IDX file, `[examples, height, width]`. Large ones stay in the file.

    Raises:
        ValueError: it is no IDX file of bytes with three dimensions, or damaged.
        OSError: it cannot be read.
    """
    return _read_file(path, "bytes with 3 dimensions", BYTES, (3,))


def read_labels(path: Path) -> NDArray[np.integer]:
    """Return the labels in an IDX file, integers `[examples]`; of QMNIST's rows, the digits.

    Raises:
        ValueError: it is no IDX file of integers with one dimension, or damaged.
        OSError: it cannot be read.
    """
    labels = _read_file(path, "integers with 1 dimension", INTEGERS, (1, 2))
    is_of_qmnist = labels.shape[1:] == (QMNIST_COLUMNS,) and labels.dtype.itemsize == 4
    return labels[:, 0] if is_of_qmnist else labels


def _read_file(
    path: Path, expected: str, types: Sequence[int], dimensions: Sequence[int]
) -> NDArray[Any]:
    """Return the array in an IDX file, gzipped or not. No library was found that checks what it reads.

    The format, see http://yann.lecun.com/exdb/mnist/: two zero bytes, the type, the number of
    dimensions; each dimension as a big-endian 32-bit number; the numbers, big-endian.
    """
    start, is_gzipped = content.first_bytes(path)
    try:
        with gzip.open(path) if is_gzipped else path.open("rb") as file:
            start = start or file.read(1)  # a damaged gzip file raises its error here
            header = start[: 4 + 4 * (start[3] if len(start) > 3 else 0)]
            known = header[:2] == b"\0\0" and len(header) > 3 and header[2] in types
            if not known or header[3] not in dimensions or len(header) < 4 + 4 * header[3]:
                raise ValueError(_unlike(path, expected, types[0], dimensions[0], start))
            dtype, shape = np.dtype(TYPES[header[2]]), tuple(np.frombuffer(header[4:], ">u4").tolist())
            size = math.prod(shape) * dtype.itemsize
            limit = path.stat().st_size * (DEFLATE_LIMIT if is_gzipped else 1)
            if size > limit:
                claimed = f"{path}: its header claims {list(shape)}, more than the file can hold"
                raise ValueError(f"{claimed}; {AGAIN}")
            if not is_gzipped and size == limit - len(header) >= MAPPING_THRESHOLD:
                return np.memmap(path, dtype, "r", len(header), shape)
            if size > IN_MEMORY_LIMIT:
                raise ValueError(
                    f"{path}: expected at most {IN_MEMORY_LIMIT:,} bytes; its header claims"
                    f" {size:,}. For larger data, use a plain IDX file."
                )
            file.seek(len(header))
            body = _read_at_most(file, size + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{path}: expected a gzipped IDX file; reading it failed: {error}; {AGAIN}"
        ) from error
    if len(body) != size:
        received = f"{len(body):,}; {AGAIN}" if len(body) < size else "more"
        raise ValueError(f"{path}: expected {size:,} bytes of data; received {received}")
    return np.frombuffer(body, dtype).reshape(shape)


def _unlike(path: Path, expected: str, kind: int, dimensions: int, start: bytes) -> str:
    """Return the message about a file that is no such IDX file."""
    name = content.what(start)
    if name == content.STARTS[content.GZIP]:  # what is within a gzip file
        name = "gzipped twice: unpack it once"
    if name not in ("", content.IDX):
        return f"{path}: expected an IDX file; this is {name}"
    magic = bytes((0, 0, kind, dimensions))
    return (
        f"{path}: expected an IDX file of {expected}, which starts with {magic.hex(' ')};"
        f" received {start[:16].hex(' ') or 'nothing'}"
    )


def _read_at_most(file: BufferedIOBase, size: int) -> bytes:
    """Read up to `size` bytes. Allocate memory only for bytes that are there."""
    parts = []
    while size and (part := file.read(min(size, 1 << 20))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
