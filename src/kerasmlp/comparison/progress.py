"""The progress of a comparison, on standard error."""

from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from kerasmlp.comparison.row import Row


class RowProgress(Progress):
    """Shows a progress bar for each row if standard error is a terminal, and a line when a row ends."""

    def __init__(self, rows: Sequence[Row]) -> None:
        console = Console(stderr=True)
        description = TextColumn("{task.description}", markup=False)
        columns = (description, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        super().__init__(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._names = [row.name for row in rows]
        self._rows: dict[str, TaskID] = {}

    def phase(self, name: str, total: int) -> None:
        """Start a phase. Each row is done after `total` units."""
        self._phase = name
        for task in self._rows.values():
            self.remove_task(task)
        self._rows = {row: self.add_task(f"{name}: {row}", total=total) for row in self._names}

    def done(self, row: str, units: int) -> None:
        self.update(self._rows[row], completed=units)

    def ended(self, row: str, result: str) -> None:
        """Print the result of a row."""
        self.console.print(Text(f"{self._phase}: {row}: {result}"), soft_wrap=True)
