"""The history of a run as a figure. Imports matplotlib."""

import csv
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasmlp.checkpoints import atomic
from kerasmlp.runs import run_folder

PANELS = 4
"""The number of metrics that are drawn, at most."""
WIDTH, HEIGHT = 4.5, 3.2
"""The size of a panel with its margins, in inches."""


def write(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Draw the epochs of `history.csv` into `history.png`: a panel for each metric.

    Args:
        folder: the run folder.
        metrics: the metrics of the run; those of the test are drawn as a line.

    Raises:
        OSError: the file cannot be written.
    """
    content, figure = io.BytesIO(), draw(folder, metrics)
    if figure is None:
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the font lacks a character of a name
        figure.savefig(content, format="png", dpi=100, pil_kwargs={"compress_level": 1})
    atomic.write(folder / run_folder.FIGURE, content.getvalue())


def draw(folder: Path, metrics: Mapping[str, Any]) -> Figure | None:
    """Return the figure; None without an epoch."""
    if not (folder / run_folder.HISTORY).exists():  # a loop of the user's that calls no callbacks
        return None
    with (folder / run_folder.HISTORY).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else ()) if not name.startswith(("epoch", "val_"))]
    names.sort(key=lambda name: (name not in ("accuracy", "loss"), name))
    if not names:
        return None
    drawn = names[:PANELS]
    figure = Figure(figsize=(WIDTH * len(drawn), HEIGHT))
    figure.suptitle(folder.name)
    panels = figure.subplots(1, len(drawn), squeeze=False, gridspec_kw=_margins(len(drawn)))[0]
    for name, axes in zip(drawn, panels, strict=True):
        _draw(axes, name, rows, metrics.get(f"test_{name}"))
    return figure


def _margins(panels: int) -> dict[str, float]:
    """Return where the panels stand. A layout that measures all texts takes as long as to draw them."""
    left, right, bottom, top, width = 0.75, 0.1, 0.5, 0.65, WIDTH * panels  # in inches
    return {
        "left": left / width,
        "right": 1 - right / width,
        "bottom": bottom / HEIGHT,
        "top": 1 - top / HEIGHT,
        "wspace": (left + right) / (WIDTH - left - right),
    }


def _draw(axes: Axes, name: str, rows: list[dict[str, str]], test: float | None) -> None:
    for column, label in ((name, "training, running mean"), (f"val_{name}", "validation")):
        points = [(int(row["epoch"]) + 1, float(row[column])) for row in rows if _is_number(row, column)]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)
    if test is not None:
        axes.axhline(test, color="grey", linestyle="--", label=f"test {test:.4f}")
    axes.set_title(name)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axes.lines:
        axes.legend(fontsize="small")


def _is_number(row: Mapping[str, str], column: str) -> bool:
    try:
        float(row.get(column) or "")
    except ValueError:
        return False
    return True
