"""The data of a name or a file: images with labels, or, for a model of the user's, any arrays."""

from pathlib import Path

from kerasmlp.data.any_arrays import AnyArrays
from kerasmlp.data.loader import MNISTLoader

Source = MNISTLoader | AnyArrays


def read_source(data: str, any_arrays: bool) -> Source:
    """Return the data of that name, or of the file of that path.

    Args:
        any_arrays: whether the arrays of an `.npz` file may be others than images with labels.

    Raises:
        ValueError: the data has a wrong form.
        OSError: the data cannot be read.
    """
    path = Path(data)
    if any_arrays and path.suffix == ".npz" and path.is_file():
        try:
            return MNISTLoader(data)
        except ValueError:
            return AnyArrays.read(path)
    return MNISTLoader(data)
