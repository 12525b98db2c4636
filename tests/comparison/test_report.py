"""The report of a comparison: `comparison.json` and the figure."""

import dataclasses
import json
import struct
import types

import matplotlib
import numpy as np
import pytest
from matplotlib import colors

from helpers import events
from kerasmlp.comparison import figure, report, runs
from kerasmlp.comparison.result import Comparison
from kerasmlp.comparison.verdict import Divergence
from kerasmlp.processes import RemoteError
from kerasmlp.runs import run_folder
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


@pytest.mark.parametrize(
    "rows, size, widths",
    [
        (ROWS[:1], (13, 3.6), (3, 2)),
        (ROWS, (13, 7), (3, 2)),
        ([ROWS[2]] * 2, (8, 7), (3,)),
        ([ROWS[2]] * 10, (8, 9), (3,)),
        (ROWS[2:3], (8, 3.6), (3,)),
    ],
)
def test_the_size_of_the_figure_is_that_of_its_panels_and_its_legend(rows, size, widths):
    made, losses, _, _ = drawn(*rows)
    assert tuple(made.get_size_inches()) == pytest.approx(size)
    assert tuple(losses.get_gridspec().get_width_ratios()) == widths


def test_the_axes_are_named_and_have_room():
    _, losses, gaps, costs = drawn(*ROWS)
    assert (losses.get_xlabel(), losses.get_ylabel()) == ("", "loss")
    assert (gaps.get_xlabel(), gaps.get_ylabel()) == ("step", "absolute difference")
    assert gaps.get_shared_x_axes().joined(gaps, losses)
    assert gaps.get_ylim()[0] == pytest.approx(-0.1 / 4)
    assert costs.get_xlabel() == (
        "median, from the fastest to the slowest epoch\n*: whole calls for one epoch, with tracing"
    )
    assert costs.get_ylim() == pytest.approx((4.6, -0.6))
    assert costs.margins() == (0.15, 0.05)
    _, _, _, costs = drawn(ROWS[0])
    assert costs.get_xlabel() == "median, from the fastest to the slowest epoch"
    assert costs.get_ylim() == pytest.approx((2.6, -0.6))  # the bar of a single row is no block


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


def test_the_losses_of_a_single_step_are_compared():
    _, _, gaps, _ = drawn(row("fit", losses=[1.0]), row("mine", losses=[3.0]))
    assert [list(line.get_ydata()) for line in gaps.lines] == [[0], [2]]


def test_without_losses_the_panel_says_so():
    _, losses, gaps, _ = drawn(ROWS[3], ROWS[4])
    (text,) = losses.texts
    assert text.get_text() == "no loss of each step"
    assert text.get_position() == (0.5, 0.5) and text.get_transform() == losses.transAxes
    assert (text.get_ha(), text.get_va(), text.get_fontsize()) == ("center", "center", 12)
    assert gaps is None


def test_losses_that_are_no_numbers_are_identical_or_different():
    first, inf, nan = row("fit", losses=[1.0, np.nan, np.inf]), np.inf, np.nan
    _, _, gaps, _ = drawn(first, row("same", losses=[1.0, nan, inf]))
    assert texts(gaps) == ["identical"]
    _, _, gaps, _ = drawn(first, row("mine:step", "diverges", losses=[1.0, 1.0, 2.0]))
    assert texts(gaps) == []
    assert gaps.yaxis.get_transform().linthresh == 1.0  # there is no difference that is a number
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


def test_a_line_has_the_style_of_its_row():
    _, losses, _, costs = drawn(*(row(str(number), seconds=(1.0,)) for number in range(12)))
    lines, names = losses.lines, [f"C{number}" for number in (*range(10), 0, 1)]
    assert [line.get_color() for line in lines] == names
    assert [bar.get_facecolor() for bar in costs.patches] == [colors.to_rgba(name) for name in names]
    assert [line.get_linestyle() for line in lines] == ["-", "--", ":"] * 4
    assert "".join(line.get_marker() for line in lines) == "osD^vPX<>*po"
    assert {line.get_fillstyle() for line in lines} == {"none"}
    made, losses, _, _ = drawn(*(row(str(number), losses=np.ones(160)) for number in range(3)))
    of_legend = made.legends[0].legend_handles
    for lines in (losses.lines, of_legend):
        assert [line.get_linewidth() for line in lines] == [3.5, 2.25, 1.0]
        assert [line.get_markersize() for line in lines] == [8.5, 7.25, 6.0]
    assert [line.get_markevery() for line in losses.lines] == [(0, 20), (6, 20), (13, 20)]
    assert [line.get_linewidth() for line in drawn(*ROWS[:2])[1].lines] == [3.5, 1.0]
    (line,) = drawn(ROWS[0])[1].lines
    assert (line.get_linewidth(), line.get_markevery()) == (1.0, (0, 1))


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
    assert costs.texts[0].xyann == (4, 0)
    assert costs.texts[2].get_position() == (0.02, 2) and costs.texts[2].get_va() == "center"
    caps = [cap.get_markersize() for bars in costs.containers[1::2] for cap in bars.errorbar.lines[1]]
    assert caps == [8] * 6  # twice what is asked for
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
    lengths = [max(map(len, label.get_text().splitlines())) for label in labels]
    assert max(lengths[:3]) <= 44 and max(lengths[3:]) <= 24
    assert name != "x" * 70 or lengths == [44, 44, 44, 24, 24]


def test_a_picture_can_be_made_of_all_names():
    """A warning that the font lacks a character would be an error here."""
    outcomes = tuple(dataclasses.replace(ROWS[0], name=name) for name in HOSTILE)
    with matplotlib.rc_context({"savefig.format": "pdf"}):  # of a user
        picture = figure.png(Comparison(outcomes, {}))
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (13 * 120, 7 * 120)


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
    assert key.get_window_extent().y1 <= min(axes.get_tightbbox().y0 for axes in panels)
    assert key.get_window_extent().x0 < panels[0].get_window_extent().x0
    assert len({round(text.get_window_extent().x0) for text in key.get_texts()}) == 3  # columns


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


def test_what_a_row_of_the_json_file_says_of_its_steps():
    wrong = row(
        "mine",
        "diverges",
        reason="step 3",
        divergence=Divergence(3, "kernel", 0.25, 1e-3, "why"),
        measured=2,
        share=0.5,
        weights=0.5,
        history={"loss": [0.25]},
    )
    content = report.as_json(Comparison((ROWS[0], wrong), {"epochs": 1}))
    assert content.keys() == {"agree", "settings", "rows", "versions", "machine"}
    assert (content["agree"], content["settings"]) == (False, {"epochs": 1})
    assert content["rows"][1] == {
        "name": "mine",
        "verdict": "diverges",
        "reason": "step 3",
        "divergence": {"step": 3, "what": "kernel", "size": 0.25, "bound": 1e-3, "cause": "why"},
        "steps_in_lockstep": 4,
        "executions_measured": 2,
        "largest_share_of_bound": 0.5,
        "unit_roundoff": 2.0**-24,
        "longest_sum": 784,
        "differences_from_first": {
            "losses": 0.0,
            "weights": 0.5,
            "optimizer": 0.5,
            "predictions": 0.5,
        },
        "history": {"loss": [0.25]},
        "losses": LOSSES,
        "cost_failure": None,
    }
    assert content["rows"][0]["divergence"] is None
    first_failed = report.as_json(Comparison((ROWS[-1], ROWS[0]), {}))["rows"]
    assert first_failed[1]["differences_from_first"] is None


def test_the_folder_of_a_report_is_new_and_goes_if_nothing_is_written(tmp_path, monkeypatch):
    path = tmp_path / "a" / "b"
    with report.folder(path) as made:
        assert made == path and made.is_dir()
    assert not path.exists()
    with report.folder(str(path)) as made:
        (made / "file").touch()
    assert (path / "file").exists()
    message = f"--output: expected the path of a new folder; received {path}, which exists"
    with pytest.raises(FileExistsError, match=message), report.folder(path):
        pass
    monkeypatch.setattr(run_folder, "LOGS", tmp_path / "logs")
    with report.folder(None) as made:
        assert made.parent == tmp_path / "logs" and made.name.endswith("-compare")


@pytest.mark.parametrize("fails", [False, True])
def test_a_process_of_the_comparison_writes_the_runs(fails, tmp_path, monkeypatch):
    started = []

    class Process:
        def __init__(self, *given, **named):
            started.append((given, named))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            started.append("ended")

        def receive(self, seconds):
            started.append(seconds)
            if fails:
                raise RemoteError("the disk is full")

    monkeypatch.setattr(report, "Process", Process)
    result, processes = Comparison(ROWS[:1], {"epochs": 1}), types.SimpleNamespace(launch="launch")
    if fails:
        with pytest.raises(OSError, match=r"^the TensorBoard runs of the report: the disk is full$"):
            report.write(result, tmp_path, processes)
    else:
        report.write(result, tmp_path, processes)
    given = ("kerasmlp.comparison.runs:write", result, tmp_path)
    assert started == [(given, {"launch": "launch"}), 600.0, "ended"]
    assert json.loads((tmp_path / "comparison.json").read_text())["rows"][0]["name"] == "fit"
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_the_bound_is_explained_with_the_figures_of_each_row_that_trained():
    found = row("mine", measured=1200, share=0.1234, steps=3456)
    title, _, _, *lines = report.explanation(Comparison((found, ROWS[-1]), {})).splitlines()[1:]
    assert title == "How the bound on rounding is derived"
    assert any("Monte Carlo" in line for line in lines)
    assert lines[-2:] == [
        "In this comparison:",
        "- mine: 3,456 steps compared; bound measured for 1,200 executions, which were not identical;"
        " largest difference: 12.3% of the bound; u = 5.96e-08, n = 784",
    ]


def test_a_run_for_each_row_that_did_not_fail_is_written(tmp_path):
    mine = row("mine", history={"loss": [0.5, 0.25]}, seconds=(2.0, 1.0, 4.0))
    settings = {"epochs": 2, "steps_per_epoch": 4, "batch_size": 50}
    runs.write(None, Comparison((mine, *ROWS), settings), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"mine", "fit", "graph", "mine_step", "by_call"}
    written = events(tmp_path)
    assert written["fit", "loss/batch"] == {
        step: pytest.approx(loss) for step, loss in enumerate(LOSSES, 1)
    }
    assert written["mine", "loss/running"] == {4: 0.5, 8: 0.25}
    ends = {"loss": 0.25, "seconds_per_epoch": 2.0, "steps_per_second": 40, "peak_megabytes": 715.2}
    for name, value in ends.items():
        assert written["mine", f"trained/{name}"] == {8: pytest.approx(value)}
    assert ("mine_step", "trained/seconds_per_epoch") not in written
    for name in ("experiment", "session_start_info", "session_end_info"):
        assert list(written["mine", f"_hparams_/{name}"]) == [8]


def test_what_a_run_is_called_and_what_tells_it_from_others(tmp_path, monkeypatch):
    heard = []
    monkeypatch.setattr(runs.hparams, "write", lambda events, *given: heard.append(given))
    settings = {"epochs": 2, "steps_per_epoch": 4, "batch_size": 50, "seed": 3}
    mine = row("mine:x", history={"loss": [0.5, 0.25]}, jit_compile=True, steps_per_execution=5)
    runs.write(None, Comparison((mine,), settings), tmp_path / "report")
    shown = {"jit_compile": True, "steps_per_execution": 5, "epochs": 2, "batch_size": 50}
    assert heard == [("mine_x", 8, "report/mine_x", "mine:x", shown, {"loss": 0.25})]
