"""The figure of a comparison: the losses, their differences, the costs. Every row is in each panel."""

import io
import math
import textwrap
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from kerasmlp.comparison.result import Comparison
from kerasmlp.comparison.tables import number
from kerasmlp.comparison.verdict import Outcome

_MARKERS = "osD^vPX<>*p"


def png(comparison: Comparison) -> bytes:
    """Return the figure as the content of a PNG file."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the font lacks a character of a name
        draw(comparison).savefig(file, format="png", dpi=120)
    return file.getvalue()


def draw(comparison: Comparison) -> Figure:
    """Return the figure. It has no panel of what is not known: differences of losses, costs."""
    outcomes = comparison.outcomes
    measured = any(outcome.cost for outcome in outcomes)
    gaps = [_gap(_losses(outcome), _losses(outcomes[0])) for outcome in outcomes]
    compared = sum(gap.size > 0 for gap in gaps) > 1
    rows, widths = 1 + compared, (3, 2) if measured else (3,)
    height = max(3.5 * rows, 3 + 0.6 * len(outcomes))
    figure = Figure(figsize=(13 if measured else 8, height), layout="constrained")
    grid = figure.add_gridspec(rows, len(widths), width_ratios=widths)
    losses = figure.add_subplot(grid[0, 0])
    styles = [_style(row, len(outcomes)) for row in range(len(outcomes))]
    _draw_losses(losses, outcomes, styles)
    if compared:
        _draw_gaps(figure.add_subplot(grid[1, 0], sharex=losses), outcomes[0].name, gaps, styles)
    if measured:
        _draw_costs(figure.add_subplot(grid[:, 1]), outcomes)
    _add_legend(figure, outcomes, styles)
    return figure


def _style(row: int, rows: int) -> dict[str, Any]:
    """Return the style of the lines of a row. Under a later line that coincides, a line can be seen."""
    width = 1 + 2.5 * (rows - 1 - row) / max(rows - 1, 1)
    marker = {"marker": _MARKERS[row % len(_MARKERS)], "markersize": 5 + width, "fillstyle": "none"}
    return {
        "color": f"C{row % 10}",
        "linewidth": width,
        "linestyle": ("-", "--", ":")[row % 3],
        **marker,
    }


def _draw_losses(axes: Axes, outcomes: Sequence[Outcome], styles: Sequence[dict[str, Any]]) -> None:
    drawn = [_losses(outcome) for outcome in outcomes]
    for row, losses in enumerate(drawn):
        _draw_line(axes, losses, row, styles)
    all_losses = np.concatenate(drawn)
    axes.set(title="Loss of each step", ylabel="loss")
    if not all_losses.size:
        _say(axes, "no loss of each step")
    elif (all_losses[np.isfinite(all_losses)] > 0).all():
        axes.set_yscale("log")


def _draw_gaps(
    axes: Axes,
    first: str,
    gaps: Sequence[NDArray[np.float64]],
    styles: Sequence[dict[str, Any]],
) -> None:
    """Draw the differences of the losses from those of the first row. The first row is the zero line."""
    all_gaps = np.concatenate(gaps)
    title = f"Difference of the loss from {first}"
    axes.set_title(_fold(title), parse_math=False)
    axes.set(xlabel="step", ylabel="absolute difference")
    if not all_gaps.any():
        _say(axes, "identical")
    else:
        for row, gap in enumerate(gaps):
            _draw_line(axes, gap, row, styles)
        smallest = min((gap for gap in all_gaps if 0 < gap < np.inf), default=1.0)
        decade = 10.0 ** math.floor(math.log10(smallest))
        axes.set_yscale("symlog", linthresh=decade)  # it shows zero, too
        axes.set_ylim(bottom=-decade / 4)


def _losses(outcome: Outcome) -> NDArray[np.float64]:
    return np.array(outcome.trajectory.losses if outcome.trajectory else [], dtype=np.float64)


def _gap(losses: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.float64]:
    both = min(len(losses), len(first))
    losses, first = losses[:both], first[:both]
    is_same = (losses == first) | (np.isnan(losses) & np.isnan(first))
    with np.errstate(invalid="ignore"):
        return np.where(is_same, 0.0, np.abs(losses - first))


def _draw_line(
    axes: Axes, values: NDArray[np.float64], row: int, styles: Sequence[dict[str, Any]]
) -> None:
    """Draw a line with a few markers. Those of different rows are at different steps."""
    every = max(len(values) // 8, 1)
    start = row * every // len(styles)
    axes.plot(np.arange(1, len(values) + 1), values, markevery=(start, every), **styles[row])


def _draw_costs(axes: Axes, outcomes: Sequence[Outcome]) -> None:
    for row, outcome in enumerate(outcomes):
        if outcome.cost is None:
            why = "failed" if outcome.verdict == "failed" else "not measured"
            axes.text(0.02, row, why, transform=axes.get_yaxis_transform(), va="center")
            continue
        seconds, median = outcome.cost.seconds_per_epoch, outcome.cost.median
        spread = [[median - min(seconds)], [max(seconds) - median]]
        bar = axes.barh(row, median, xerr=spread, color=f"C{row % 10}", capsize=4)
        star = "" if outcome.cost.by_epoch else "*"
        axes.bar_label(bar, [number(median) + star], padding=4)
    names = [_fold(outcome.name, 24) for outcome in outcomes]
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(max(len(names), 3) - 0.4, -0.6)
    axes.margins(x=0.15)
    axes.set(title="Cost: seconds per epoch", xlabel="median, from the fastest to the slowest epoch")
    if any(outcome.cost and not outcome.cost.by_epoch for outcome in outcomes):
        axes.set_xlabel(f"{axes.get_xlabel()}\n*: whole calls for one epoch, with tracing")


def _add_legend(figure: Figure, outcomes: Sequence[Outcome], styles: Sequence[dict[str, Any]]) -> None:
    """List all rows, with why a row is not drawn."""
    handles = [Line2D([], [], **style) for style in styles]
    legend = figure.legend(handles, ["" for _ in handles], loc="outside lower left", ncols=3)
    for text, outcome in zip(legend.get_texts(), outcomes, strict=True):
        has_losses = outcome.trajectory is None or outcome.trajectory.losses
        why = "" if has_losses else ", no loss of each step"
        text.set_text(_fold(f"{outcome.name}: {outcome.verdict}{why}"))
        text.set_parse_math(False)  # a name is shown as it is


def _say(axes: Axes, text: str) -> None:
    """Write a text into a panel without values."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize="large")
    axes.set_yticks([])


def _fold(text: str, width: int = 44) -> str:
    """Return the text in lines of at most `width` characters."""
    return textwrap.fill(text, width)
