"""Reads `.npz` files. It never unpickles, and never allocates more memory than the file can fill."""

import contextlib
import io
import math
import threading
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from kerasmlp.data import content, numpy_lines
from kerasmlp.data.arrays import DEFLATE_LIMIT, IN_MEMORY_LIMIT, Arrays, checked

NPZ_MEMBERS = ("x_train", "y_train", "x_test", "y_test")
HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
HEADER_LIMIT = 2**16
"""The most bytes that a header is read from. NumPy takes none of more than 10,000."""


class Header(NamedTuple):
    """The type and the shape of an array in a file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


def read_npz(path: Path) -> Arrays:
    """Return the arrays of an `.npz` file. Raise a ValueError if it does not have these arrays."""
    members = read_members(path, NPZ_MEMBERS)
    return checked(str(path), tuple(members[name] for name in NPZ_MEMBERS))


def headers(path: Path) -> dict[str, Header | None]:
    """Return the type and the shape of each array of an `.npz` file; None for one that is damaged.

    Raises:
        ValueError: the file is damaged, or no `.npz` file.
    """
    with _opened(path) as archive:
        names = archive.namelist()
        found = {
            name.removesuffix(".npy"): _header(archive, name) for name in names if name.endswith(".npy")
        }
        if not found:
            inside = ", ".join(names[:5]) or "nothing"
            raise ValueError(f"it is a zip file with no arrays in it, but with {inside}: unzip it")
        return found


def read_members(path: Path, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return arrays of an `.npz` file by name: those of these `names`; all, with None.

    Raises:
        ValueError: the file is damaged, or does not have these arrays.
    """
    found = _ahead.pop(path).result() if path in _ahead else {}
    if names is not None and set(names) <= found.keys():
        return {name: found[name] for name in names}
    return _read(path, names)


_ahead: dict[Path, Future[dict[str, NDArray[Any]]]] = {}


def begin_reading(path: Path) -> None:
    """Begin to read the arrays `NPZ_MEMBERS` of a file in a thread. `read_members` takes them, once.

    A file that has others, or is damaged, is read anew there. A pipe, whose content comes once, is left.
    """
    future = _ahead[path] = Future()

    def read() -> None:
        try:
            future.set_result(_read(path, NPZ_MEMBERS) if path.is_file() else {})
        except Exception:  # which `read_members` raises again
            future.set_result({})

    threading.Thread(target=read, daemon=True).start()


def _read(path: Path, names: Sequence[str] | None) -> dict[str, NDArray[Any]]:
    with _opened(path) as archive:
        if names is None:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
        return {name: _read_member(path, archive, name) for name in names}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with path.open("rb") as file:
        try:
            # `np.load` would try to unpickle a file that is not a zip file.
            with zipfile.ZipFile(file) as archive:
                yield archive
        except Exception as error:  # zipfile, zlib and NumPy raise many classes on damaged files
            raise ValueError(
                f"{path}: expected an .npz file with the arrays {', '.join(NPZ_MEMBERS)};"
                f" {_received(path) or f'reading it failed: {error}'}"
            ) from error


def _header(archive: zipfile.ZipFile, name: str) -> Header | None:
    try:
        with archive.open(name) as file:
            return _read_header(file)[0]
    except Exception:  # as above
        return None


def _read_header(file: IO[bytes]) -> tuple[Header, Literal["C", "F"], int]:
    """Return the header of an array, the order of its values, and where they begin."""
    start = io.BytesIO(file.read(HEADER_LIMIT))
    shape, is_fortran, dtype = HEADER_READERS[npy.read_magic(start)](start)
    return Header(dtype, shape), "F" if is_fortran else "C", start.tell()


def _read_member(path: Path, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    if f"{name}.npy" not in archive.namelist():
        raise ValueError(f"{name} is missing")
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > DEFLATE_LIMIT * (info.compress_size + 1):
        raise ValueError(f"{name} claims {info.file_size:,} bytes, more than the file can hold")
    with archive.open(info) as file:
        (dtype, shape), order, begin = _read_header(file)
        if dtype.hasobject:
            raise ValueError(
                f"{name} holds Python objects, so it is a pickle, which is refused, since a pickle can"
                f" run a program when it is read; if you trust the file,"
                f" {numpy_lines.of_objects(path, name, shape)}"
            )
        claimed = math.prod(shape) * dtype.itemsize
        if claimed > min(info.file_size, IN_MEMORY_LIMIT):
            raise ValueError(
                f"{name} claims {claimed:,} bytes; the file has {info.file_size:,} for it, and the limit"
                f" is {IN_MEMORY_LIMIT:,} (for larger data, use plain IDX files)"
            )
        file.seek(begin)
        # At once: zlib is then called once, without Python's lock. NumPy's function reads in pieces.
        return np.ndarray(shape, dtype, bytearray(file.read(claimed)), order=order)


def _received(path: Path) -> str:
    """Return what a file is that is no zip file, and what to do; empty if that is not known."""
    start, is_gzipped = content.first_bytes(path)
    name = content.what(start)
    if name == content.ZIP and not is_gzipped:
        return ""
    advice = {
        content.PICKLE: "; it is refused, since a pickle can run a program when it is read; if you trust"
        f" it, and it holds ((x, y), ..., (x, y)), {numpy_lines.of_pickle(path, is_gzipped)}",
        content.NPY: "; np.savez('data.npz', x_train=..., y_train=..., x_test=..., y_test=...) writes"
        " four",
        content.IDX: "; give the folder of the four IDX files",
    }.get(name, "")
    packed = "a gzip file" + (f" of {name}" if name else "") if is_gzipped else name
    return f"this is {packed}{advice}" if packed else ""
