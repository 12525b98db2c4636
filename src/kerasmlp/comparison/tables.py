"""The tables and notes of a comparison, as `rich` prints them. Imports no TensorFlow."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from kerasmlp.comparison.verdict import Cost, Outcome, Trajectory, differences


def tables(outcomes: Sequence[Outcome]) -> list[Table]:
    """Return the tables: the verdicts, then the differences and the costs if there are any."""
    all_tables = [_agreement(outcomes), _differences(outcomes)]
    if any(outcome.cost or outcome.cost_failure for outcome in outcomes):
        all_tables += [_speed(outcomes), _other_costs(outcomes)]
    return [table for table in all_tables if table.row_count]


def notes(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the lines below the tables: reasons, and remarks on costs."""
    return reasons(outcomes) + [line for outcome in outcomes for line in _remarks(outcome)]


def reasons(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a line for each loop that does not agree: the name, the verdict and the reason."""
    return [
        f"{outcome.name} {outcome.verdict}: {outcome.reason}"
        for outcome in outcomes
        if outcome.reason is not None
    ]


def number(value: float) -> str:
    """Return a positive number with three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def _table(title: str, *heads: str) -> Table:
    table = Table(
        title=Text(title, style="bold"),  # a name in it is shown as it is
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    # A narrow terminal folds the names, not the numbers.
    table.add_column("loop", overflow="fold", vertical="bottom")
    for head in heads:
        table.add_column(head, justify="left" if head == "verdict" else "right", no_wrap=True)
    return table


def _agreement(outcomes: Sequence[Outcome]) -> Table:
    heads = ("verdict", "steps compared", "largest difference\nfrom Keras' own step")
    table = _table("Agreement, within a bound on rounding", *heads)
    for outcome in outcomes:
        found = outcome.trajectory
        cells = ("-", "-") if found is None else (found.seen, _largest(found))
        table.add_row(Text(outcome.name), outcome.verdict, *cells)
    return table


def _largest(trajectory: Trajectory) -> str:
    """Return the largest difference from Keras' own step, as a share of the bound on rounding."""
    if not trajectory.steps:
        return "-"
    if not trajectory.measured:
        return "none"
    is_over = not trajectory.share <= 1  # it may be NaN
    return "over the bound" if is_over else f"{100 * trajectory.share:.3g}% of the bound"


def _differences(outcomes: Sequence[Outcome]) -> Table:
    """Return the table of the rows that are not identical to the first."""
    first, *others = outcomes
    heads = ("losses\nof the steps", "weights", "optimizer\nstate", "predictions")
    table = _table(f"Largest difference from {first.name} at the end", *heads)
    for outcome in others:
        if first.trajectory and outcome.trajectory and outcome.verdict != "identical":
            gaps = differences(first.trajectory, outcome.trajectory).values()
            cells = ("-" if gap is None else f"{gap:.0e}" if gap else "0" for gap in gaps)
            table.add_row(Text(outcome.name), *cells)
    return table


def _speed(outcomes: Sequence[Outcome]) -> Table:
    heads = ("median", "fastest", "slowest", "compared with\nthe first row", "steps per\nsecond")
    table = _table("Seconds per epoch", *heads)
    for outcome in outcomes:
        cost, cells = outcome.cost, ["-"] * len(heads)
        if cost is not None:
            cells = [
                number(cost.median) + ("" if cost.by_epoch else "*"),
                number(min(cost.seconds_per_epoch)),
                number(max(cost.seconds_per_epoch)),
                _relative(cost, outcomes[0].cost),
                number(cost.steps_per_second),
            ]
        table.add_row(Text(outcome.name), *cells)
    return table


def _relative(cost: Cost, first: Cost | None) -> str:
    """Return the ratio of the medians. None where the spreads overlap or are not known."""
    if first is None or cost is first:
        return "-"
    one, other = cost.seconds_per_epoch, first.seconds_per_epoch
    if len(one) == 1 or len(other) == 1:
        return "one epoch only"
    if min(one) <= max(other) and min(other) <= max(one):
        return "about the same"
    return f"{number(cost.median / first.median)} times"


def _other_costs(outcomes: Sequence[Outcome]) -> Table:
    heads = (
        "seconds to the first\nstep, with compiling",
        "seconds to evaluate\nthe test examples",
        "peak memory\nin MiB",
    )
    table = _table("Other costs", *heads)
    for outcome in outcomes:
        cost, cells = outcome.cost, ["-"] * len(heads)
        if cost is not None:
            first_step = cost.seconds_to_first_step
            cells = [
                "-" if first_step is None else number(first_step),
                number(cost.seconds_to_evaluate),
                number(cost.peak_megabytes) if cost.peak_megabytes else "-",
            ]
        table.add_row(Text(outcome.name), *cells)
    return table


def _remarks(outcome: Outcome) -> list[str]:
    name, found, cost = outcome.name, outcome.trajectory, outcome.cost
    lines = []
    if found is not None and found.has_own_optimizer:
        lines.append(
            f"{name} trains with its own optimizer: model.optimizer is not used, so checkpoints do not"
            " contain its state"
        )
    if found is not None and found.divergence is None and not found.reports_metrics:
        lines.append(f"{name} reports no metrics: only what it trains was compared")
    if outcome.cost_failure is not None:
        lines.append(f"{name}: the cost could not be measured: {outcome.cost_failure}")
    elif cost is not None and not cost.by_epoch:
        lines.append(
            f"{name}* calls no epoch hooks. The times are those of whole calls for one epoch, with"
            " tracing"
        )
    return lines
