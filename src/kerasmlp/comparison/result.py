"""What a comparison found of all loops, as tables and notes. No TensorFlow."""

import dataclasses
import io
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from kerasmlp.comparison.verdict import Outcome, differences


def _table(title: str, caption: str, words: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(
        title=title, caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    table.add_column(words[0], overflow="fold")  # the name: it gives way, no number does
    for word in words[1:]:
        table.add_column(word, no_wrap=True)
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        outcomes: one for each row; the first is what the others are held against.
        settings: the data, epochs, batch size, seed and timed epochs.
    """

    outcomes: tuple[Outcome, ...]
    settings: dict[str, Any]

    @property
    def agree(self) -> bool:
        """Whether all loops are identical or equal."""
        return all(outcome.verdict in ("identical", "equal") for outcome in self.outcomes)

    @property
    def diagnosis(self) -> str:
        """Each loop that does not agree, and why: a line each."""
        return "\n".join(
            f"{outcome.name} {outcome.verdict}: {outcome.reason}"
            for outcome in self.outcomes
            if outcome.reason is not None
        )

    def agreement_table(self) -> Table:
        """Return the verdicts, and how far each loop ends from the first."""
        caption = (
            "steps: compared in lockstep; bound: the largest part of the bound on rounding reached;"
            " then the largest differences from the first row: losses, weights, optimizer, predictions"
        )
        columns = ("steps", "bound", "losses", "weights", "optim.", "pred.")
        table = _table("Agreement", caption, ("loop", "verdict"), columns)
        first = self.outcomes[0].trajectory
        for outcome in self.outcomes:
            trajectory, cells = outcome.trajectory, ["-"] * len(columns)
            if trajectory is not None:
                share = f"{trajectory.share:.0%}" if trajectory.measured else "0"
                share = "over" if outcome.verdict == "diverges" else share
                gaps = differences(first, trajectory).values() if first is not None else [None] * 4
                numbers = ["-" if gap is None else f"{gap:.0e}" if gap else "0" for gap in gaps]
                cells = [f"{trajectory.steps:,}", share, *numbers]
            table.add_row(outcome.name, outcome.verdict, *cells)
        return table

    def cost_table(self) -> Table:
        """Return what each loop costs."""
        caption = (
            "s/epoch: median of the timed epochs, the least and the most; first: seconds to the end of"
            " the first execution, tracing and compiling included; eval.: seconds for the test examples;"
            " MB: peak memory; x: times the first row"
        )
        columns = ("s/epoch", "least", "most", "steps/s", "first", "eval.", "MB", "x")
        table = _table("Cost", caption, ("loop",), columns)
        base = self.outcomes[0].cost
        for outcome in self.outcomes:
            cost, cells = outcome.cost, ["-"] * len(columns)
            if cost is not None:
                first_step = cost.seconds_to_first_step
                seconds = cost.seconds_per_epoch
                cells = [
                    f"{cost.median:.3f}" + ("" if cost.by_epoch else "*"),
                    f"{min(seconds):.3f}",
                    f"{max(seconds):.3f}",
                    f"{cost.steps_per_second:,.0f}",
                    "-" if first_step is None else f"{first_step:.2f}",
                    f"{cost.seconds_to_evaluate:.3f}",
                    f"{cost.peak_megabytes:,.0f}",
                    "-" if base is None else f"{cost.median / base.median:.2f}",
                ]
            table.add_row(outcome.name, *cells)
        return table

    def notes(self) -> list[str]:
        """Return what the tables cannot say."""
        lines = self.diagnosis.splitlines()
        for outcome in self.outcomes:
            if outcome.cost_failure is not None:
                lines.append(f"{outcome.name}: its cost could not be measured: {outcome.cost_failure}")
            elif outcome.cost is not None and not outcome.cost.by_epoch:
                lines.append(
                    f"{outcome.name}* calls no epoch hooks: whole calls of one epoch are timed,"
                    " tracing included"
                )
        return lines

    def show(self, console: Console) -> None:
        """Print the tables and the notes."""
        console.print(self.agreement_table())
        if any(outcome.cost or outcome.cost_failure for outcome in self.outcomes):
            console.print(self.cost_table())
        for line in self.notes():
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    def __str__(self) -> str:
        """Return the tables and the notes as plain text."""
        text = io.StringIO()
        self.show(Console(file=text, width=110, no_color=True))
        return text.getvalue()
