"""Lines of NumPy that a user can paste to convert a file: joined by `;`, since an error is one line."""

from collections.abc import Sequence
from pathlib import Path

NUMPY = "import numpy as np"


def pasted(path: Path, statements: Sequence[str], saved: str) -> str:
    """Return lines that convert a file, and what they do, in words.

    Args:
        path: the file. The lines write another one beside it.
        statements: what is done before the new file is saved.
        saved: the arguments with which `np.savez` saves it.
    """
    new = path.with_name(f"{path.stem}-converted.npz")
    code = "; ".join([*statements, f"np.savez({str(new)!r}, {saved})"])
    return f"this Python writes {new.name}, which can be read: {code}"


def of_pickle(path: Path, is_gzipped: bool) -> str:
    """Return lines for a pickle of `((x, y), ..., (x, y))`, training first and test last."""
    content = f"pathlib.Path({str(path)!r}).read_bytes()"
    content = f"gzip.decompress({content})" if is_gzipped else content
    imports = "import gzip, pathlib, pickle, numpy as np"
    load = f"p = pickle.loads({content}, encoding='latin1')"
    saved = "x_train=p[0][0], y_train=p[0][1], x_test=p[-1][0], y_test=p[-1][1]"
    return pasted(path, [imports, load], saved)


def of_objects(path: Path, name: str, shape: tuple[int, ...]) -> str:
    """Return lines for an `.npz` file in which the array `name` holds Python objects."""
    load = f"a = np.load({str(path)!r}, allow_pickle=True)"
    every = "**{k: np.array(a[k].tolist()) for k in a.files}"
    return pasted(path, [NUMPY, load], every if shape else f"**a[{name!r}].item()")
