"""How far the rows of a comparison are, on standard error."""

from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from kerasmlp.comparison.row import Row


class RowProgress:
    """Shows on standard error how far each row is: on a terminal live, and a plain line at its end."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._names = [row.name for row in rows]
        self._tasks: dict[str, TaskID] = {}
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._live = Progress(
            *columns,
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def phase(self, name: str, total: int) -> None:
        """Begin a phase, in which each row has `total` parts to do."""
        self._phase = name
        for task in self._tasks.values():
            self._live.remove_task(task)
        self._tasks = {row: self._live.add_task(f"{name}: {row}", total=total) for row in self._names}

    def done(self, row: str, parts: int) -> None:
        """Show how many parts of a row are done."""
        self._live.update(self._tasks[row], completed=parts)

    def finished(self, row: str, words: str) -> None:
        """Say how a row ended."""
        self._live.console.print(
            f"{self._phase}: {row}: {words}", highlight=False, markup=False, soft_wrap=True
        )
