"""The data of a run: images with labels, or, for a model of the user's, any arrays."""

from pathlib import Path

from kerasmlp.data import AnyArrays, MNISTLoader, Parts

Source = MNISTLoader | AnyArrays


def read(data: str, any_arrays: bool) -> Source:
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


def parts(data: Source) -> tuple[Parts, Parts]:
    """Return the training and the test examples."""
    if isinstance(data, MNISTLoader):
        return Parts((data.train_data, data.train_label)), Parts((data.test_data, data.test_label))
    return data.train, data.test
