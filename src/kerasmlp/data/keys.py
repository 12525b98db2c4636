"""Which arrays of an `.npz` file are the images and the labels, to train and to test on.

Names such as `x_train`, `trainY`, `test_images` and `labels-train` are understood. Four arrays `arr_0`
to `arr_3`, which `np.savez` makes of arrays without names, are told apart by their shapes.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kerasmlp.data.advice import WrongArraysError
from kerasmlp.data.npz import NPZ_MEMBERS, Header
from kerasmlp.data.pixels import square_side

Headers = Mapping[str, Header | None]

PARTS = {
    "train": ("train", "training", "trainset", "trainingset", "trn", "tr"),
    "test": ("test", "testing", "testset", "tst", "te", "t10k"),
    "validation": ("val", "valid", "validation", "valset", "validset", "validationset", "dev"),
}
KINDS = {
    "x": ("x", "xs", "image", "images", "img", "imgs", "data", "pixels", "input", "inputs", "features"),
    "y": ("y", "ys", "label", "labels", "lbl", "lbls", "target", "targets", "class", "classes"),
}
MEANINGS = {
    name: (part, kind)
    for part, kind in itertools.product(PARTS, KINDS)
    for of, what in itertools.product(PARTS[part], KINDS[kind])
    for name in (of + what, what + of)
} | {name: ("all", kind) for kind in KINDS for name in KINDS[kind]}
"""The part and the kind that a name means, in small letters and digits alone."""

WANTED = (("train", "x"), ("train", "y"), ("test", "x"), ("test", "y"))


class Chosen(NamedTuple):
    """The names of the four arrays, in the order of `NPZ_MEMBERS`, and of those for validation."""

    names: tuple[str, ...]
    unused: tuple[str, ...]


def chosen(headers: Headers) -> Chosen:
    """Return which arrays of a file are images and labels.

    Raises:
        WrongArraysError: no four arrays are, or it is not clear which.
    """
    meant = defaultdict(list)
    for name in headers:
        meant[MEANINGS.get(re.sub("[^a-z0-9]", "", name.lower()))].append(name)
    unused = (*meant["validation", "x"], *meant["validation", "y"])
    if all(name in headers for name in NPZ_MEMBERS):
        return Chosen(NPZ_MEMBERS, unused)
    found = [meant[wanted] for wanted in WANTED]
    for member, names in zip(NPZ_MEMBERS, found, strict=True):
        if len(names) > 1:
            raise WrongArraysError(f"expected one array for {member}; {' and '.join(names)} both may be")
    if all(found):
        return Chosen(tuple(name for (name,) in found), unused)
    for x, y in (found[:2], (meant["all", "x"], meant["all", "y"])):
        if len(x) == len(y) == 1 and not any(found[2:]):
            raise _without_test(x[0], y[0], unused, headers)
    numbered = sorted((name for name in headers if re.fullmatch(r"arr_\d+", name)), key=_number)
    if len(numbered) == len(headers):
        return _told_apart(numbered, headers)
    missing = [member for member, names in zip(NPZ_MEMBERS, found, strict=True) if not names]
    raise _unknown(
        f"expected the arrays {', '.join(NPZ_MEMBERS)}, or the same by names such as train_images,"
        f" train_labels, test_images and test_labels; there is no {', '.join(missing)}",
        headers,
    )


def _number(name: str) -> int:
    return int(name.removeprefix("arr_"))


def _told_apart(numbered: list[str], headers: Headers) -> Chosen:
    """Return which arrays without names are which: the i-th images have the i-th labels."""
    images, labels = _by_shape(numbered, headers)
    lengths = [_length(headers[name]) for name in (*images, *labels)]
    are_two = len(images) == len(labels) == 2
    if not (are_two and lengths[:2] == lengths[2:] and lengths[0] > lengths[1]):
        raise _unknown(
            "expected two arrays of images and two of labels, and more examples in the first ones, to"
            " train on, than in the second ones; from these shapes it is not clear which is which",
            headers,
        )
    return Chosen((images[0], labels[0], images[1], labels[1]), ())


def _by_shape(names: list[str], headers: Headers) -> tuple[list[str], list[str]]:
    """Return the names of the arrays that have the shape of images, and those of the others."""
    shapes = {name: header.shape if (header := headers[name]) else () for name in names}
    images = [name for name, shape in shapes.items() if len(shape) > 2]
    if not images:  # rows of pixels, beside labels or narrower rows of one 1 and else 0
        widest = max([shape[1] for shape in shapes.values() if len(shape) == 2], default=0)
        rows = [name for name, shape in shapes.items() if shape[1:] == (widest,)]
        images = rows if square_side(widest) else []
    return images, [name for name in names if name not in images]


def _length(header: Header | None) -> int:
    return header.shape[0] if header and header.shape else 0


def _without_test(x: str, y: str, validation: tuple[str, ...], headers: Headers) -> WrongArraysError:
    """Return the error about examples that are not split into some to train and some to test on."""
    if len(validation) == 2:
        return WrongArraysError(
            f"expected images and labels to test on, beside {x} and {y}",
            [],
            saved=_named((x, y, *validation)),
            where=f"if {' and '.join(validation)} are for that, ",
        )
    examples = _length(headers[y])
    return WrongArraysError(
        f"expected images and labels to train on, and others to test on; there are only {x} and {y}",
        [
            f"i = np.random.default_rng(0).permutation({examples})",
            f"x, y, n = a[{x!r}][i], a[{y!r}][i], {max(1, examples // 7)}",
        ],
        saved="x_train=x[n:], y_train=y[n:], x_test=x[:n], y_test=y[:n]",
        where="with a seventh of them, drawn at random, to test on, ",
    )


def _unknown(problem: str, headers: Headers) -> WrongArraysError:
    """Return an error with lines that name the arrays: by their shapes, as far as these say it."""
    names = sorted(headers, key=lambda name: -_length(headers[name]))
    images, labels = _by_shape(names, headers)
    if len(images) == len(labels) == 1:
        return _without_test(images[0], labels[0], (), headers)
    if len(images) == len(labels) == 2:
        names = [images[0], labels[0], images[1], labels[1]]
    if len(names) == 1:
        files = [f"{member}=np.load('...npz')[{names[0]!r}]" for member in NPZ_MEMBERS]
        return WrongArraysError(
            problem, [], saved=", ".join(files), where="with the paths of four such files in it, "
        )
    if len(names) < len(NPZ_MEMBERS):
        return WrongArraysError(problem)
    return WrongArraysError(problem, [], saved=_named(names), where="with the right names in it, ")


def _named(names: Iterable[str]) -> str:
    """Return the arguments with which `np.savez` saves these arrays as `NPZ_MEMBERS`."""
    pairs = zip(NPZ_MEMBERS, names, strict=False)
    return ", ".join(f"{member}=a[{name!r}]" for member, name in pairs)
