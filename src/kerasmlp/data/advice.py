"""Errors about the arrays of an `.npz` file that say how to make them right."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kerasmlp.data.npz import Header
from kerasmlp.data.numpy_lines import NUMPY, pasted

SHOWN = 12
"""Number of arrays that are listed, at most."""


class WrongArraysError(ValueError):
    """Arrays that have several meanings, or none.

    Args:
        problem: what was expected, and what was received.
        statements: lines of NumPy that make the arrays right, which are in the dict `a`. None for none.
        saved: the arguments with which `np.savez` then saves them.
        where: when these lines are right, in words before them.
    """

    def __init__(
        self,
        problem: str,
        statements: Sequence[str] | None = None,
        *,
        saved: str = "**a",
        where: str = "",
    ) -> None:
        super().__init__(problem)
        self.statements, self.saved, self.where = statements, saved, where

    def about(self, path: Path, headers: Mapping[str, Header | None]) -> str:
        """Return the message about a file: the problem, what arrays there are, the lines that help."""
        message = f"{path}: {self}; {listed(headers)}"
        if self.statements is None:
            return message
        load = f"a = dict(np.load({str(path)!r}))"
        return f"{message}; {self.where}{pasted(path, [NUMPY, load, *self.statements], self.saved)}"


def for_each(names: Sequence[str], expression: str) -> list[str]:
    """Return statements that set each array to an expression, in which `{}` is the array."""
    arrays = [f"a[{name!r}]" for name in names]
    return [f"{array} = {expression.format(array)}" for array in arrays]


def listed(headers: Mapping[str, Header | None]) -> str:
    """Return the arrays of a file with their types and shapes, in words."""
    shown = [f"{name}: {header or 'damaged'}" for name, header in list(headers.items())[:SHOWN]]
    more = [f"{len(headers) - SHOWN} more"] if len(headers) > SHOWN else []
    return f"it has {', '.join([*shown, *more])}"
