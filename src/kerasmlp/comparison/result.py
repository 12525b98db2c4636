"""The result of a comparison, as tables and notes. Imports no TensorFlow."""

import dataclasses
import io
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasmlp.comparison.verdict import Outcome, differences


def _table(title: str, caption: str, columns: Sequence[str]) -> Table:
    table = Table(
        title=title, caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    table.add_column("loop", overflow="fold")  # a narrow terminal folds the names, not the numbers
    for column in columns:
        table.add_column(column, justify="left" if column == "verdict" else "right", no_wrap=True)
    return table


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison:
    """The result of a comparison: the outcome of each row, and the settings.

    The settings are the size of the data, epochs, batch size, seed and timed epochs.
    """

    outcomes: tuple[Outcome, ...]
    settings: dict[str, Any]

    @property
    def agree(self) -> bool:
        """Whether all loops are identical or equal."""
        return all(outcome.verdict in ("identical", "equal") for outcome in self.outcomes)

    @property
    def diagnosis(self) -> str:
        """One line for each loop that does not agree: the name, the verdict and the reason."""
        return "\n".join(
            f"{outcome.name} {outcome.verdict}: {outcome.reason}"
            for outcome in self.outcomes
            if outcome.reason is not None
        )

    def agreement_table(self) -> Table:
        """Return the table of the verdicts, and of the differences from the first row."""
        caption = (
            "steps: compared with Keras' own; bound: largest difference in a step, as a share of the"
            " bound on rounding; losses, weights, optimizer, predictions: largest difference from the"
            " first row"
        )
        columns = ("verdict", "steps", "bound", "losses", "weights", "optim.", "pred.")
        table = _table("Agreement", caption, columns)
        first = self.outcomes[0].trajectory
        for outcome in self.outcomes:
            trajectory, cells = outcome.trajectory, ["-"] * 6
            if trajectory is not None:
                share = f"{trajectory.share:.0%}" if trajectory.measured else "0"
                share = "over" if outcome.verdict == "diverges" else share
                gaps = differences(first, trajectory).values() if first is not None else [None] * 4
                numbers = ["-" if gap is None else f"{gap:.0e}" if gap else "0" for gap in gaps]
                cells = [f"{trajectory.steps:,}", share, *numbers]
            table.add_row(Text(outcome.name), outcome.verdict, *cells)
        return table

    def cost_table(self) -> Table:
        caption = (
            "s/epoch, least, most: median, minimum and maximum of the timed epochs; first: seconds until"
            " the end of the first execution, with tracing and compiling; eval.: seconds to evaluate the"
            " test examples; MB: peak memory; x: s/epoch relative to the first row"
        )
        columns = ("s/epoch", "least", "most", "steps/s", "first", "eval.", "MB", "x")
        table = _table("Cost", caption, columns)
        base = self.outcomes[0].cost
        for outcome in self.outcomes:
            cost, cells = outcome.cost, ["-"] * len(columns)
            if cost is not None:
                first_step, seconds = cost.seconds_to_first_step, cost.seconds_per_epoch
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
            table.add_row(Text(outcome.name), *cells)
        return table

    def notes(self) -> list[str]:
        """Return the lines below the tables: reasons, and remarks on costs."""
        lines = self.diagnosis.splitlines()
        for outcome in self.outcomes:
            if outcome.trajectory is not None and outcome.trajectory.has_own_optimizer:
                lines.append(
                    f"{outcome.name} trains with its own optimizer: model.optimizer is not used, so"
                    " checkpoints do not contain its state"
                )
            if outcome.trajectory is not None and not outcome.trajectory.reports_metrics:
                lines.append(f"{outcome.name} reports no metrics: only what it trains was compared")
            if outcome.cost_failure is not None:
                lines.append(f"{outcome.name}: the cost could not be measured: {outcome.cost_failure}")
            elif outcome.cost is not None and not outcome.cost.by_epoch:
                lines.append(
                    f"{outcome.name}* calls no epoch hooks. The times are those of whole calls for one"
                    " epoch, with tracing"
                )
        return lines

    def show(self, console: Console) -> None:
        console.print(self.agreement_table())
        if any(outcome.cost or outcome.cost_failure for outcome in self.outcomes):
            console.print(self.cost_table())
        for line in self.notes():
            console.print(Text(line), soft_wrap=True)

    def __repr__(self) -> str:
        verdicts = (f"{outcome.name}: {outcome.verdict}" for outcome in self.outcomes)
        return f"Comparison({', '.join(verdicts)})"

    def __str__(self) -> str:
        text = io.StringIO()
        self.show(Console(file=text, width=110, no_color=True))
        return text.getvalue()
