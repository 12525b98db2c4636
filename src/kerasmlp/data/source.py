"""The data of a name or a file: images with labels, or, for a model of the user's, any arrays."""

from pathlib import Path

from kerasmlp.data.any_arrays import AnyArrays
from kerasmlp.data.loader import MNISTLoader

Source = MNISTLoader | AnyArrays


def read_source(data: str, any_arrays: bool, transpose: bool = False) -> Source:
    """Return the data of that name, or of the file of that path.

    Args:
        any_arrays: whether the arrays of an `.npz` file may be others than images with labels. They are
            images only in the form of Keras' `mnist.npz`; nothing else is converted.
        transpose: whether rows and columns of images change places.

    Raises:
        ValueError: the data has a wrong form.
        OSError: the data cannot be read.
    """
    path = Path(data)
    try:
        return MNISTLoader(data, transpose=transpose, strict=any_arrays)
    except ValueError:
        if not (any_arrays and path.suffix == ".npz" and path.is_file()):
            raise
    found = AnyArrays.read(path)
    if transpose:
        raise ValueError(f"--transpose: expected images as bytes, with labels; {data} has other arrays")
    return found
