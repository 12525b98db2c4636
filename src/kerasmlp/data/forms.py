"""Images with labels in an `.npz` file as users have them: other names, numbers and shapes.

A form is taken where it can have only one meaning, and a line on standard error says how. Where it
can have several, the error lists the arrays, and the lines of NumPy that make them right.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kerasmlp.data import labels, pixels
from kerasmlp.data.advice import WrongArraysError, for_each, listed
from kerasmlp.data.arrays import Arrays, checked
from kerasmlp.data.keys import Chosen, chosen
from kerasmlp.data.notes import note
from kerasmlp.data.npz import NPZ_MEMBERS, headers, read_members


def read_any_form(path: Path) -> Arrays:
    """Return the images and labels of an `.npz` file.

    Raises:
        ValueError: the file is damaged, or its arrays can have several meanings, or none.
    """
    found = headers(path)
    try:
        which = chosen(found)
    except WrongArraysError as error:
        pickled = [name for name, header in found.items() if header and header.dtype.hasobject]
        read_members(path, pickled[:1])  # which raises the error about it
        raise ValueError(error.about(path, found)) from error
    members = read_members(path, which.names)
    images, targets = ({name: members[name] for name in which.names[first::2]} for first in (0, 1))
    try:
        (y_train, y_test), of_labels = labels.as_integers(targets)
        _check_axes(images, (y_train, y_test))
        (x_train, x_test), of_pixels = pixels.as_bytes(images)
    except WrongArraysError as error:
        raise ValueError(error.about(path, found)) from error
    try:
        result = checked(str(path), (x_train, y_train, x_test, y_test))
    except ValueError as error:
        raise ValueError(f"{error}; {listed(found)}") from error
    if said := [*_of_names(which), *of_pixels, *of_labels, *_of_unused(which)]:
        note(f"{path}: {'; '.join(said)}")
    return result


def _of_names(which: Chosen) -> list[str]:
    if which.names == NPZ_MEMBERS:
        return []
    return [f"{', '.join(which.names)} are taken as {', '.join(NPZ_MEMBERS)}"]


def _of_unused(which: Chosen) -> list[str]:
    return [f"{', '.join(which.unused)} are not used"] if which.unused else []


def _check_axes(images: Mapping[str, NDArray[Any]], labels: Sequence[NDArray[Any]]) -> None:
    """Raise an error if the examples are along the last axis of the images, as in MATLAB's files."""
    shapes = [array.shape for array in images.values()]
    if all(shape[:1] != y.shape[:1] == shape[-1:] for shape, y in zip(shapes, labels, strict=True)):
        raise WrongArraysError(
            "expected the examples along the first axis of the images; they are along the last",
            for_each(list(images), "np.moveaxis({}, -1, 0)"),
        )
