"""The result of a comparison: how it is printed, and how a notebook shows it. Imports no TensorFlow."""

import base64
import dataclasses
import io
from typing import Any

from rich.console import Console
from rich.text import Text

from kerasmlp.comparison.tables import notes, reasons, tables
from kerasmlp.comparison.verdict import Outcome

_WIDTH = 110


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The result of a comparison: the outcome of each row, and the settings.

    The settings are the size of the data, epochs, batch size, seed and timed epochs.
    """

    outcomes: tuple[Outcome, ...]
    settings: dict[str, Any]

    @property
    def agree(self) -> bool:
        """Whether all loops are identical or equal."""
        return self._agreeing == len(self.outcomes)

    @property
    def _agreeing(self) -> int:
        return sum(outcome.verdict in ("identical", "equal") for outcome in self.outcomes)

    @property
    def diagnosis(self) -> str:
        """One line for each loop that does not agree: the name, the verdict and the reason."""
        return "\n".join(reasons(self.outcomes))

    @property
    def summary(self) -> str:
        """One line: how many loops agree."""
        return f"{self._agreeing} of {len(self.outcomes)} loops agree"

    def show(self, console: Console) -> None:
        """Print the tables, the notes, and last how many loops agree."""
        self.show_tables(console)
        console.print(self.summary, highlight=False)

    def show_tables(self, console: Console) -> None:
        """Print the tables and the notes."""
        for table in tables(self.outcomes):
            console.print(table)
        for line in notes(self.outcomes):
            console.print(Text(line), soft_wrap=True)

    def __repr__(self) -> str:
        verdicts = (f"{outcome.name}: {outcome.verdict}" for outcome in self.outcomes)
        return f"Comparison({', '.join(verdicts)})"

    def __str__(self) -> str:
        text = io.StringIO()
        self.show(_console(file=text, force_terminal=False))
        return text.getvalue()

    def _repr_html_(self) -> str:
        """Return the tables and the figure, which a notebook shows."""
        from kerasmlp.comparison import figure  # imports matplotlib

        console = _console(file=io.StringIO(), record=True)
        self.show(console)
        text = console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")
        picture = base64.b64encode(figure.png(self)).decode()
        source = f"data:image/png;base64,{picture}"
        return f'<div>{text}<img alt="{self.summary}" style="max-width: 100%" src="{source}"></div>'


def _console(**options: Any) -> Console:
    """Return a console that a notebook does not show."""
    return Console(width=_WIDTH, force_jupyter=False, **options)
