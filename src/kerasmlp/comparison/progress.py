"""The progress of a comparison, on standard error."""

from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from kerasmlp.comparison.row import Row


class RowProgress(Progress):
    """Shows a bar for each row at work if standard error is a terminal, and a line when a row ends."""

    def __init__(self, rows: Sequence[Row]) -> None:
        console = Console(stderr=True)
        name = Column(max_width=32, no_wrap=True, overflow="ellipsis")  # 80 columns in all
        columns = (
            SpinnerColumn("line"),
            TextColumn("{task.description}", markup=False, table_column=name),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
        )
        super().__init__(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._names = [row.name for row in rows]
        self._rows: dict[str, TaskID] = {}

    def phase(self, name: str, total: int) -> None:
        """Start a phase. Each row is done after `total` units."""
        self._phase, self._total = name, total
        for task in self._rows.values():
            self.remove_task(task)
        self._rows = {
            row: self.add_task(f"{name}: {row}", start=False, total=None, visible=False)
            for row in self._names
        }

    def starting(self, row: str) -> None:
        """Show the row. Its process is starting, and its bar moves without an end."""
        self.start_task(self._rows[row])
        self.update(self._rows[row], visible=True, state="starting")

    def done(self, row: str, units: int) -> None:
        """Show how much of the row is done. With 0, it has started."""
        if row in self._rows:
            total = self._total if units else None
            state = f"{units:,} of {total:,}" if total else "running"
            self.update(self._rows[row], completed=units, total=total, state=state)

    def stopped(self, row: str, state: str) -> None:
        """Show that the process of the row has ended, and how. Its result may come later."""
        self.update(self._rows[row], completed=self._total, total=self._total, state=state)

    def ended(self, row: str, result: str) -> None:
        """Print the result of a row instead of its bar."""
        self.remove_task(self._rows.pop(row))
        self.refresh()
        self.console.print(Text(f"{self._phase}: {row}: {result}"), soft_wrap=True)
