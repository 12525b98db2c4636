"""Labels in any form as integers, where only one meaning is possible."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasmlp.data.advice import WrongArraysError, for_each
from kerasmlp.data.arrays import LARGEST_LABEL

Members = Mapping[str, NDArray[Any]]
"""The training and the test labels, by their names in the file."""


def as_integers(members: Members) -> tuple[list[NDArray[np.integer]], list[str]]:
    """Return labels as integers `[examples]`, and what was done for that, in words.

    Integers stay as they are. Whole floats, booleans and strings of integers are converted. Of rows with
    one 1 and else 0, the label is where the 1 is.

    Raises:
        WrongArraysError: the labels have no such form.
    """
    flat = {name: _flat(array) for name, array in members.items()}
    widths = {array.shape[1] for array in flat.values() if array.ndim == 2}
    if len(widths) > 1:
        raise WrongArraysError(
            f"expected as many columns in {' and '.join(members)}; received {sorted(widths)}"
        )
    converted = [_integers(name, array, members) for name, array in flat.items()]
    ends = [end for array in converted if array.size for end in (int(array.min()), int(array.max()))]
    if ends and (min(ends) < 0 or max(ends) > LARGEST_LABEL):
        raise WrongArraysError(
            f"expected labels from 0 to {LARGEST_LABEL:,}; received {min(ends)} to {max(ends)}",
            numbered(members),
            where="with a number from 0 on for each, ",
        )
    said = ["the labels are the places of the ones in each row"] if widths else []
    dtypes = dict.fromkeys(str(array.dtype) for array in flat.values() if array.dtype.kind not in "iu")
    if dtypes and not widths:
        said.append(f"labels ({' and '.join(dtypes)}) are taken as integers")
    return converted, said


def _flat(array: NDArray[Any]) -> NDArray[Any]:
    """Return `[examples, 1]` and `[1, examples]` as `[examples]`, and all others as they are."""
    return array.ravel() if array.ndim == 2 and 1 in array.shape else array


def _integers(name: str, array: NDArray[Any], members: Members) -> NDArray[np.integer]:
    if array.ndim == 2:
        return _places(name, array, members)
    if array.dtype.kind in "US":
        return _parsed(name, array, members)
    if array.dtype.kind not in "biuf":
        raise WrongArraysError(f"expected labels as integers; {name} has {array.dtype}")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or (array != np.rint(array)).any() or (abs(array) > 2**53).any():
            raise WrongArraysError(f"expected labels as whole numbers; {name} has others")
        return array.astype(np.int64)
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def _places(name: str, rows: NDArray[Any], members: Members) -> NDArray[np.integer]:
    """Return the place of the 1 in each row."""
    if rows.dtype.kind in "biuf":
        are_ones = rows == 1
        if (are_ones.sum(axis=1) == 1).all() and not rows[~are_ones].any():
            return rows.argmax(axis=1)
    raise WrongArraysError(
        f"expected a label for each example, or a row with one 1 and else 0; the rows of {name} are"
        " others",
        for_each(list(members), "{}.argmax(axis=1)"),
        where="if the place of the largest number is the label, ",
    )


def _parsed(name: str, texts: NDArray[Any], members: Members) -> NDArray[np.integer]:
    """Return strings of integers as integers."""
    try:
        return np.char.strip(texts).astype(np.int64)
    except (ValueError, OverflowError) as error:
        raise WrongArraysError(
            f"expected labels as integers from 0 on, or strings of them; {name} has other strings",
            numbered(members),
            where="with a number for each string, ",
        ) from error


def numbered(members: Members) -> list[str]:
    """Return statements that give each different label a number, from 0 on."""
    arrays = [f"a[{name!r}]" for name in members]
    return [
        f"names, y = np.unique(np.concatenate([{', '.join(arrays)}]), return_inverse=True)",
        f"n = len({arrays[0]})",
        f"{', '.join(arrays)} = y[:n], y[n:]",
    ]
