"""Reads `.npz` files. A file is never unpickled, and never takes more memory than it can hold."""

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasmlp.data.arrays import DEFLATE_LIMIT, IN_MEMORY_LIMIT, Arrays, checked

NPZ_MEMBERS = ("x_train", "y_train", "x_test", "y_test")


def read_npz(path: Path) -> Arrays:
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
    return checked(str(path), members)


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
