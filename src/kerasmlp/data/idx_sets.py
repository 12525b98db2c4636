"""Finds data sets of four IDX files, by their names, in a folder or below it.

A name is `[PREFIX-](train|t10k|test)-(images|labels)-idxN[-TYPE][.gz]`, with any of `-`, `_` and `.`
between its parts, in capitals or not. What is hidden, by a point at its beginning, is not looked at.
"""

import contextlib
import dataclasses
import itertools
import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kerasmlp.data import idx
from kerasmlp.data.arrays import Arrays, checked
from kerasmlp.data.notes import note

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
NAME = re.compile(
    r"((?P<prefix>.+?)[-_.])?(?P<part>train|t10k|test)[-_.](?P<kind>image|label)s?"
    r"[-_.]idx\d?([-_.][a-z]+)?(\.gz)?",
    re.IGNORECASE,
)
SLOTS = (("train", "image"), ("train", "label"), ("test", "image"), ("test", "label"))
"""The part and the kind of each of `IDX_FILES`."""
PART_FOLDER = re.compile(rf"(train|test)(ing)?|t10k|images?|labels?|{NAME.pattern}", re.IGNORECASE)
"""The name of a folder that has a part of a data set, the other parts in folders beside it."""
DEPTH = 4
"""How many folders deep is looked."""
LISTED = 12
"""Number of names that an error lists, at most."""


@dataclasses.dataclass(frozen=True)
class IdxSet:
    """The IDX files of one data set.

    Attributes:
        folder: the folder that has the files, or whose folders have one part each.
        prefix: what the names begin with, as `emnist-digits`; empty if with nothing.
        files: for each of `IDX_FILES` the files that may be it: several, if it is there in several
            forms, plain ones first.
    """

    folder: Path
    prefix: str
    files: tuple[tuple[Path, ...], ...]

    @property
    def missing(self) -> str:
        """Which files are missing, in words; empty if all are there."""
        begin = f"{self.prefix}-" if self.prefix else ""
        pairs = zip(IDX_FILES, self.files, strict=True)
        names = [f"{begin}{name}" for name, files in pairs if not files]
        if not names:
            return ""
        return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing"

    @property
    def all_files(self) -> list[Path]:
        """The paths of all files."""
        return list(itertools.chain.from_iterable(self.files))

    def read(self) -> Arrays:
        """Return the arrays in the files.

        Raises:
            ValueError: a file is no IDX file, or damaged, and there is no other one in its place.
            OSError: it cannot be read.
        """
        tests = [path.name for path in itertools.chain(*self.files[2:])]
        if len({name["part"].lower() for name in map(NAME.fullmatch, tests) if name}) > 1:
            raise ValueError(
                f"{self.folder}: expected one set of test files; received {', '.join(tests)}"
            )
        readers = (idx.read_images, idx.read_labels) * 2
        arrays = (_read_one(files, read) for files, read in zip(self.files, readers, strict=True))
        return checked(str(self.folder), tuple(arrays))


def find(path: Path) -> IdxSet:
    """Return the data set in a folder, or that of a file, or that of `FOLDER/PREFIX`.

    Raises:
        ValueError: there are several. The message says what to give for each.
        FileNotFoundError: there is none, or a file of it is missing.
    """
    found = _meant(path)
    if len(found) > 1:
        choices = ", or ".join(_choices(found))
        raise ValueError(f"{path}: expected one data set; there are {len(found)}: give {choices}")
    if not found:
        raise FileNotFoundError(
            f"{path}: expected IDX files, with names such as {IDX_FILES[0]}, in this folder or below it;"
            f" there is {_content(path)}"
        )
    (one,) = found
    if one.missing:
        raise FileNotFoundError(
            f"{one.folder}: expected four IDX files, as {', '.join(IDX_FILES)}, plain or gzipped;"
            f" {one.missing}; there is {_content(one.folder)}"
        )
    return one


def is_meant(path: Path) -> bool:
    """Return whether a path is that of IDX files: a folder, one of them, or `FOLDER/PREFIX`."""
    return path.is_dir() or bool(_meant(path))


def near(path: Path) -> str:
    """Return what to give for the IDX files beside a path that does not exist, in words."""
    found = _beside(path)
    return f"; there is {', and '.join(_choices(found))}" if found else ""


def _beside(path: Path) -> list[IdxSet]:
    """Return the data sets in the folder of a path, or, if there are none, in the folders in it."""
    return _sets(path.parent, 1) if path.parent.is_dir() else []


def _meant(path: Path) -> list[IdxSet]:
    """Return the data sets that a path may mean."""
    if not path.exists():
        prefix = path.name.lower().rstrip("-_.")
        return [found for found in _beside(path) if found.prefix.lower() == prefix]
    if path.is_dir():
        found, folder = _sets(path), path
    elif NAME.fullmatch(path.name):
        found, folder = [one for one in _sets(path.parent, 0) if path in one.all_files], path.parent
    else:
        return []
    if len(found) == 1 and found[0].missing:  # it may be one of several folders with a part each
        file = found[0].all_files[0]
        whole = [one for one in _below(folder.parent, 1) if file in one.all_files and not one.missing]
        return whole or found
    return found


def _sets(folder: Path, depth: int = DEPTH) -> list[IdxSet]:
    """Return the data sets whose files are in the folder; if there are none, those below it."""
    own = [path for path in _shown(folder) if NAME.fullmatch(path.name) and path.is_file()]
    return _by_prefix(folder, own) if own else _below(folder, depth)


def _below(folder: Path, depth: int) -> list[IdxSet]:
    """Return the data sets in the folders of a folder, so many folders deep."""
    found: list[IdxSet] = []
    for path in _shown(folder) if depth else ():
        if path.is_dir():
            with contextlib.suppress(PermissionError):
                found += _sets(path, depth - 1)
    return _joined(folder, found)


def _shown(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name[0] != ".")


def _by_prefix(folder: Path, paths: Sequence[Path]) -> list[IdxSet]:
    """Return the files as data sets: those with the same prefix are one."""
    prefixes: dict[str, str] = {}
    files: dict[tuple[str, str, str], list[Path]] = defaultdict(list)
    for path in sorted(paths, key=lambda path: (path.suffix.lower() == ".gz", path)):
        name = NAME.fullmatch(path.name)
        assert name is not None
        prefix, part = name["prefix"] or "", "train" if name["part"].lower() == "train" else "test"
        prefixes.setdefault(prefix.lower(), prefix)
        files[prefix.lower(), part, name["kind"].lower()].append(path)
    return [
        IdxSet(folder, prefix, tuple(tuple(files[lower, part, kind]) for part, kind in SLOTS))
        for lower, prefix in prefixes.items()
    ]


def _joined(folder: Path, below: list[IdxSet]) -> list[IdxSet]:
    """Return the data sets below a folder. Parts of one, each in a folder of its own, become one."""
    by_prefix = defaultdict(list)
    for found in below:
        by_prefix[found.prefix.lower()].append(found)
    joined = []
    for parts in by_prefix.values():
        slots = list(zip(*(part.files for part in parts), strict=True))
        owners = {sum(map(bool, slot)) for slot in slots}
        are_parts = all(
            part.folder.parent == folder and PART_FOLDER.fullmatch(part.folder.name) for part in parts
        )
        whole = IdxSet(folder, parts[0].prefix, tuple(tuple(itertools.chain(*slot)) for slot in slots))
        joined += [whole] if are_parts and owners == {1} else parts
    return joined


def _read_one(files: Sequence[Path], read: Callable[[Path], NDArray[Any]]) -> NDArray[Any]:
    """Return the array of the first file that can be read. A line tells of those before it."""
    failures: list[Exception] = []
    for path in files:
        try:
            array = read(path)
        except (ValueError, OSError) as error:
            failures.append(error)
            continue
        for failure in failures:
            note(f"{failure}; {path.name} is read instead")
        return array
    raise failures[0] if len(failures) == 1 else ValueError("; ".join(map(str, failures)))


def _choices(found: Sequence[IdxSet]) -> Iterator[str]:
    """Yield what to give for each data set."""
    for one in found:
        given = one.folder / one.prefix
        if sum(other.folder == one.folder for other in found) == 1:
            given = one.folder
        elif not one.prefix or given.exists():
            given = one.all_files[0]
        incomplete = f" (where {one.missing})" if one.missing else ""
        yield f"--data {shlex.quote(str(given))}{incomplete}"


def _content(folder: Path) -> str:
    """Return the names of what is in a folder."""
    names = [path.name for path in _shown(folder)]
    more = [f"{len(names) - LISTED} more"] if len(names) > LISTED else []
    return ", ".join([*names[:LISTED], *more]) or "nothing"
