"""An `.npz` file with any arrays: x, y and sample weights to train on, and to test on."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar, Self

from kerasmlp.data.npz import NPZ_MEMBERS, read_members
from kerasmlp.data.parts import Parts

PARTS = ("x", "y", "sample_weight")


@dataclasses.dataclass(frozen=True)
class AnyArrays:
    """Training and test examples of any shape and type, as they are.

    Attributes:
        name: the path of their file.
    """

    train: Parts
    test: Parts
    name: str
    are_images: ClassVar[bool] = False

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the arrays of a file.

        They are `x_train`, `y_train`, `x_test`, `y_test`, and optionally `sample_weight_train` and
        `sample_weight_test`. For inputs or outputs in a dict they are `x_train/NAME`, for each name.

        Raises:
            ValueError: the file is damaged, or the arrays do not fit each other.
            OSError: it cannot be read.
        """
        members = read_members(path)
        examples = {}
        for of in ("train", "test"):
            parts = [_structure(members, f"{part}_{of}") for part in PARTS]
            if parts[0] is None:
                raise ValueError(
                    f"{path}: expected the arrays {', '.join(NPZ_MEMBERS)}; x_{of} is missing"
                )
            try:
                examples[of] = Parts.of(*parts)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
        return cls(**examples, name=str(path))

    @property
    def fingerprint(self) -> str:
        """The hexadecimal SHA-256 of all training examples, and that of all test examples."""
        return self.train.fingerprint() + self.test.fingerprint()


def _structure(members: dict[str, Any], name: str) -> Any:
    """Return the array of that name, a dict of those whose names begin with `name/`, or None."""
    if name in members:
        return members[name]
    prefix = f"{name}/"
    named = {key.removeprefix(prefix): each for key, each in members.items() if key.startswith(prefix)}
    return named or None
