"""The data of a run: images with labels, or, for a model of the user's, any arrays."""

from pathlib import Path

from kerasmlp.data import AnyArrays, MNISTLoader, Parts
from kerasmlp.runs.settings import Settings

Source = MNISTLoader | AnyArrays


def read(settings: Settings) -> Source:
    """Return the data that the settings name.

    Raises:
        ValueError: the data has a wrong form.
        OSError: the data cannot be read.
    """
    path = Path(settings.data)
    if settings.model is not None and path.suffix == ".npz" and path.is_file():
        try:
            return MNISTLoader(settings.data)
        except ValueError:
            return AnyArrays.read(path)
    return MNISTLoader(settings.data)


def parts(data: Source) -> tuple[Parts, Parts]:
    """Return the training and the test examples."""
    if isinstance(data, MNISTLoader):
        return Parts((data.train_data, data.train_label)), Parts((data.test_data, data.test_label))
    return data.train, data.test
