"""Reads `.npz` files. It never unpickles, and never allocates more memory than the file can fill."""

import math
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from kerasmlp.data.arrays import DEFLATE_LIMIT, IN_MEMORY_LIMIT, Arrays, checked

NPZ_MEMBERS = ("x_train", "y_train", "x_test", "y_test")
HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(path: Path) -> Arrays:
    """Return the arrays of an `.npz` file. Raise a ValueError if it does not have these arrays."""
    members = read_members(path, lambda names: NPZ_MEMBERS)
    return checked(str(path), tuple(members[name] for name in NPZ_MEMBERS))


def read_members(path: Path, choose: Callable[[list[str]], Sequence[str]]) -> dict[str, NDArray[Any]]:
    """Return arrays of an `.npz` file by name: those that `choose` returns, given all names.

    Raises:
        ValueError: the file is damaged, or does not have these arrays.
    """
    with path.open("rb") as file:
        try:
            # `np.load` would try to unpickle a file that is not a zip file.
            with zipfile.ZipFile(file) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
                return {name: _read_member(archive, name) for name in choose(names)}
        except Exception as error:  # zipfile, zlib and NumPy raise many classes on damaged files
            raise ValueError(
                f"{path}: expected an .npz file with the arrays {', '.join(NPZ_MEMBERS)};"
                f" reading it failed: {error}"
            ) from error


def _read_member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    if f"{name}.npy" not in archive.namelist():
        raise ValueError(f"{name} is missing")
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > DEFLATE_LIMIT * (info.compress_size + 1):
        raise ValueError(f"{name} claims {info.file_size:,} bytes, more than the file can hold")
    with archive.open(info) as file:
        shape, _, dtype = HEADER_READERS[npy.read_magic(file)](file)
        claimed = math.prod(shape) * dtype.itemsize
        if claimed > min(info.file_size, IN_MEMORY_LIMIT):
            raise ValueError(
                f"{name} claims {claimed:,} bytes; the file has {info.file_size:,} for it, and the limit"
                f" is {IN_MEMORY_LIMIT:,} (for larger data, use plain IDX files)"
            )
        file.seek(0)
        return npy.read_array(file, allow_pickle=False)
