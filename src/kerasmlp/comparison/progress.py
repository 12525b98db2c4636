"""The progress of a comparison, on standard error."""

from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from kerasmlp.comparison.row import Row


class RowProgress:
    """Shows a progress bar for each row if standard error is a terminal, and a line when a row ends."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._names = [row.name for row in rows]
        self._tasks: dict[str, TaskID] = {}
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
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
        """Start a phase. Each row is done after `total` units."""
        self._phase = name
        for task in self._tasks.values():
            self._live.remove_task(task)
        self._tasks = {row: self._live.add_task(f"{name}: {row}", total=total) for row in self._names}

    def done(self, row: str, units: int) -> None:
        """Show how many units of a row are done."""
        self._live.update(self._tasks[row], completed=units)

    def finished(self, row: str, result: str) -> None:
        """Print the result of a row."""
        self._live.console.print(Text(f"{self._phase}: {row}: {result}"), soft_wrap=True)
