"""The report of a comparison: `comparison.json` and the figure."""

import dataclasses

import numpy as np
import pytest
from matplotlib import colors

from helpers import events
from kerasmlp.comparison import figure, report, runs
from kerasmlp.comparison.result import Comparison
from outcomes import LOSSES, row

HOSTILE = ("_mine", "a $x$ and $y_1", "[bold]", "<script>", "x" * 70, "名")
ROWS = (
    row("fit", seconds=(2.0, 1.0, 4.0)),
    row("graph", seconds=(3.0, 2.5, 3.5)),
    row("mine:step", "diverges", losses=[2.0, 1.5, 1.5, 2.0], reason="step 3"),
    row("by_call", "equal", losses=(), seconds=(5.0,), by_epoch=False),
    row("broken", "failed", reason="ValueError: no"),
)


def drawn(*outcomes):
    """The figure, and its panels: losses, differences and costs, or None for those that it has not."""
    made = figure.draw(Comparison(outcomes, {}))
    titles = ("Loss", "Difference", "Cost")
    panels = [[axes for axes in made.axes if axes.get_title().startswith(title)] for title in titles]
    return made, *(next(iter(found), None) for found in panels)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def legend(made):
    (found,) = made.legends
    return [text.get_text() for text in found.get_texts()]


def test_every_panel_has_a_title():
    _, losses, gaps, costs = drawn(*ROWS)
    assert losses.get_title() == "Loss of each step"
    assert gaps.get_title() == "Difference of the loss from fit"
    assert costs.get_title() == "Cost: seconds per epoch"


def test_losses_stand_above_their_differences_and_beside_the_costs():
    made, *panels = drawn(*ROWS)
    made.draw_without_rendering()
    losses, gaps, costs = (axes.get_position() for axes in panels)
    assert losses.y0 > gaps.y1 and losses.x0 == gaps.x0
    assert costs.x0 > losses.x1 and costs.height > losses.height + gaps.height


def test_the_legend_has_every_row_and_why_it_is_not_drawn():
    assert legend(drawn(*ROWS)[0]) == [
        "fit: identical",
        "graph: identical",
        "mine:step: diverges",
        "by_call: equal, no loss of each step",
        "broken: failed",
    ]


def test_the_losses_are_drawn():
    _, losses, _, _ = drawn(*ROWS)
    values = [list(line.get_ydata()) for line in losses.lines]
    assert values == [LOSSES, LOSSES, [2.0, 1.5, 1.5, 2.0], [], []]
    assert list(losses.lines[0].get_xdata()) == [1, 2, 3, 4]
    assert losses.get_yscale() == "log"


@pytest.mark.parametrize("least", [0.0, -1.0])
def test_losses_that_are_not_positive_are_drawn(least):
    _, losses, _, _ = drawn(row("fit", losses=[1.0, least]))
    assert losses.get_yscale() == "linear"


def test_the_differences_are_drawn_with_those_that_are_zero():
    _, _, gaps, _ = drawn(*ROWS)
    values = [list(line.get_ydata()) for line in gaps.lines]
    assert values == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0.25, 1.0], [], []]
    assert gaps.get_yscale() == "symlog"
    assert gaps.get_ylim()[0] < 0
    assert gaps.yaxis.get_transform().linthresh == pytest.approx(0.1)
    assert texts(gaps) == []


@pytest.mark.parametrize(
    ("others", "compared"),
    [((ROWS[1],), True), ((ROWS[1], ROWS[4]), True), ((), False), ((ROWS[3], ROWS[4]), False)],
)
def test_a_panel_without_differences_says_so_and_there_is_none_of_nothing(others, compared):
    _, losses, gaps, _ = drawn(ROWS[0], *others)
    assert len(losses.lines) == 1 + len(others)
    assert (gaps is not None) == compared
    if compared:
        assert texts(gaps) == ["identical"]
        assert list(gaps.get_yticks()) == []


def test_without_losses_the_panel_says_so():
    _, losses, gaps, _ = drawn(ROWS[3], ROWS[4])
    assert texts(losses) == ["no loss of each step"]
    assert gaps is None


def test_losses_that_are_no_numbers_are_identical_or_different():
    first, inf, nan = row("fit", losses=[1.0, np.nan, np.inf]), np.inf, np.nan
    _, _, gaps, _ = drawn(first, row("same", losses=[1.0, nan, inf]))
    assert texts(gaps) == ["identical"]
    _, _, gaps, _ = drawn(first, row("mine:step", "diverges", losses=[1.0, 1.0, 2.0]))
    assert texts(gaps) == []
    np.testing.assert_array_equal(gaps.lines[1].get_ydata(), [0, nan, inf])
    assert figure.png(Comparison((first, row("inf", losses=[nan, inf, -inf])), {}))


def test_lines_that_coincide_can_be_told_apart():
    _, losses, _, _ = drawn(*(row(str(number), losses=np.ones(160)) for number in range(7)))
    lines = losses.lines
    widths = [line.get_linewidth() for line in lines]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 2 * widths[-1]
    for what in ("color", "marker", "markevery"):
        assert len({getattr(line, f"get_{what}")() for line in lines}) == 7
    marked = [step for line in lines for step in range(line.get_markevery()[0], 160, 20)]
    assert len(set(marked)) == len(marked) == 56


def test_more_rows_than_colors_differ_too():
    _, losses, _, _ = drawn(*(row(str(number)) for number in range(30)))
    looks = {(line.get_color(), line.get_marker()) for line in losses.lines}
    assert len(looks) == 30


def test_the_bars_have_their_spread():
    _, _, _, costs = drawn(*ROWS)
    assert [bar.get_width() for bar in costs.patches] == [2.0, 3.0, 5.0]
    assert [bar.get_facecolor() for bar in costs.patches] == [
        colors.to_rgba(color) for color in ("C0", "C1", "C3")
    ]
    spreads = [bars.errorbar.lines[2][0].get_segments()[0][:, 0] for bars in costs.containers[1::2]]
    np.testing.assert_array_equal(spreads, [[1.0, 4.0], [2.5, 3.5], [5.0, 5.0]])
    assert [label.get_text() for label in costs.get_yticklabels()] == [
        "fit",
        "graph",
        "mine:step",
        "by_call",
        "broken",
    ]
    assert texts(costs) == ["2.00", "3.00", "not measured", "5.00*", "failed"]
    assert "*: whole calls for one epoch, with tracing" in costs.get_xlabel()


def test_without_costs_there_is_no_panel_of_them():
    _, losses, gaps, costs = drawn(row("fit"), row("graph"), ROWS[-1])
    assert costs is None
    assert len(losses.lines) == 3 and texts(gaps) == ["identical"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_drawn_as_they_are(name):
    outcomes = dataclasses.replace(ROWS[0], name=name), dataclasses.replace(ROWS[2], name=name + "2")
    made, _, gaps, costs = drawn(*outcomes)
    (key,) = made.legends
    labels = [*key.get_texts(), gaps.title, *costs.get_yticklabels()]
    assert not any(label.get_parse_math() for label in labels)
    unfolded = ["".join(label.get_text().split()) for label in labels]
    plain = "".join(name.split())
    assert unfolded[:2] == [f"{plain}:identical", f"{plain}2:diverges"]
    assert unfolded[2:] == [f"Differenceofthelossfrom{plain}", plain, f"{plain}2"]
    assert max(len(line) for label in labels for line in label.get_text().splitlines()) <= 44


def test_a_picture_can_be_made_of_all_names():
    """A warning that the font lacks a character would be an error here."""
    outcomes = tuple(dataclasses.replace(ROWS[0], name=name) for name in HOSTILE)
    assert figure.png(Comparison(outcomes, {})).startswith(b"\x89PNG")


def test_everything_is_inside_the_picture():
    names = [f"{number}{'_long' * 12}" for number in range(7)]
    made, *panels = drawn(*(row(name, seconds=(1.0, 2.0)) for name in names))
    made.draw_without_rendering()
    (key,) = made.legends
    for part in (*panels, key):
        box = part.get_tightbbox()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= made.bbox.x1
        assert box.y1 <= made.bbox.y1
    assert all(axes.get_window_extent().width > 300 for axes in panels)


def test_the_content_of_the_json_file():
    first, *_, by_call, broken = report.as_json(Comparison(ROWS, {"epochs": 1}))["rows"]
    assert first["verdict"] == "identical"
    assert first["losses"] == LOSSES
    assert first["differences_from_first"] == dict.fromkeys(
        ("losses", "weights", "optimizer", "predictions"), 0
    )
    assert first["cost"]["seconds_per_epoch"] == [2.0, 1.0, 4.0]
    assert first["cost"]["median_seconds_per_epoch"] == 2.0
    assert first["cost"]["steps_per_second"] == 40
    assert by_call["differences_from_first"]["losses"] is None
    assert broken == {
        "name": "broken",
        "verdict": "failed",
        "reason": "ValueError: no",
        "cost_failure": None,
    }


def test_a_run_for_each_row_that_did_not_fail_is_written(tmp_path):
    runs.write(None, Comparison(ROWS, {"epochs": 1, "steps_per_epoch": 4, "batch_size": 50}), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"fit", "graph", "mine_step", "by_call"}
    written = events(tmp_path)["fit", "loss/batch"]
    assert written == {step: pytest.approx(loss) for step, loss in enumerate(LOSSES, 1)}
