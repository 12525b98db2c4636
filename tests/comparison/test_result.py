"""The tables and notes of a comparison."""

import base64
import dataclasses
import html
import io
import math
import re

import pytest
from rich.console import Console

from kerasmlp.comparison.result import Comparison
from kerasmlp.comparison.verdict import PARTIAL_DROPPED, Divergence, Outcome, judge
from outcomes import cost, row, trajectory

HOSTILE = ("mine:x:y", "[bold]", ":rocket:", "<script>alert(1)</script>", "a & $b$", "x" * 70)
SEVEN = (
    row("fit", seconds=(0.316, 0.259, 0.374)),
    row("graph", seconds=(0.324, 0.183, 0.465)),
    row("fit+jit", "equal", measured=3, share=0.4, weights=1e-4, seconds=(0.11, 0.1, 0.12)),
    row(
        "mine:applied_twice",
        "diverges",
        measured=1,
        share=12.0,
        reason="step 1",
        seconds=(1.1, 0.9, 1.2),
    ),
    row("mine:by_call", "equal", losses=(), seconds=(1234.5, 1200, 1300), by_epoch=False),
    row("mine:random", "undecided", reason="random draws", steps=0),
    row("mine:broken", "failed", reason="ValueError: no"),
)


def printed(*outcomes, width=80):
    text = io.StringIO()
    Comparison(outcomes, {}).show(Console(file=text, width=width))
    return text.getvalue()


def cells(text, title):
    """The cells of a table by the name of the row."""
    lines = text[text.index(title) :].splitlines()
    rule = next(number for number, line in enumerate(lines) if "──" in line)
    below = lines[rule + 1 :]
    rows = (re.split(r"\s{2,}", line.strip()) for line in below[: below.index(" " * len(lines[0]))])
    return {name: values for name, *values in rows}


def test_a_loop_of_which_no_step_was_seen_is_not_called_equal():
    seen, hidden = (row("mine", "equal", steps=steps).trajectory for steps in (1, 0))
    assert judge("mine", seen, None).verdict == "equal"
    outcome = judge("mine", hidden, None)
    assert (outcome.verdict, outcome.reason) == ("undecided", "no step of it was seen")


def test_identical_are_bits_losses_and_metrics_that_both_report():
    def verdict(**others):
        first = trajectory(history={"loss": [0.5], "accuracy": [0.75]})
        return judge("mine", trajectory(**others), first).verdict

    assert verdict() == verdict(history={"loss": [0.5], "own": [7.0]}) == "identical"
    assert verdict(history={"loss": [0.25]}) == "equal"
    assert verdict(losses=[2.0, 1.5, 1.25, 0.0]) == "equal"
    assert verdict(losses=[]) == "identical"  # it tells none
    assert verdict(weights=1e-9) == "equal"


def test_what_was_compared_is_said():
    assert trajectory(steps=4).seen == "4 of 4 steps"
    assert trajectory(steps=4, end_is_seen=True).seen == "4 of 4 steps"
    assert trajectory(steps=1234, steps_in_all=2000, end_is_seen=True).seen == "1,234 steps, and the end"
    assert trajectory(steps=3).seen == "3 of 4 steps"


@pytest.mark.parametrize(
    "done, step, cause",
    [
        (3, 4, "an epoch too few"),
        (0, 1, "2 epochs too few"),
        (9, 7, "an epoch too many"),
        (12, 7, "2 epochs too many"),
        (5, 6, PARTIAL_DROPPED),
        (2, 3, PARTIAL_DROPPED),
        (4, 5, "the loop trains nothing after step 4"),
        (7, 7, "the loop trains on after step 6"),
        (8, 7, "the loop trains on after step 6"),
    ],
)
def test_another_number_of_steps_has_a_cause(done, step, cause):
    """Six are right, three in an epoch."""
    found = Divergence.in_number(done, 6, 3)
    assert (found.step, found.cause) == (step, cause)
    assert found.what == f"the loop ended after {done} steps, not after 6"
    assert Divergence.in_number(6, 6, 3) is None


def test_the_tables_fit_in_80_columns():
    text = printed(*SEVEN)
    tables = text[: text.index("mine:applied_twice diverges: ")]
    assert max(map(len, tables.splitlines())) <= 80
    assert "…" not in text


def test_the_table_of_agreement():
    assert cells(printed(*SEVEN), "Agreement, within a bound on rounding") == {
        "fit": ["identical", "4 of 4 steps", "none"],
        "graph": ["identical", "4 of 4 steps", "none"],
        "fit+jit": ["equal", "4 of 4 steps", "40% of the bound"],
        "mine:applied_twice": ["diverges", "4 of 4 steps", "over the bound"],
        "mine:by_call": ["equal", "4 of 4 steps", "none"],
        "mine:random": ["undecided", "0 of 4 steps", "-"],
        "mine:broken": ["failed", "-", "-"],
    }


@pytest.mark.parametrize(
    "share, said", [(1.0, "100% of the bound"), (1.001, "over the bound"), (math.nan, "over the bound")]
)
def test_a_share_above_1_or_that_is_no_number_is_over_the_bound(share, said):
    text = printed(row("fit", "diverges", measured=1, share=share))
    assert cells(text, "Agreement")["fit"][-1] == said


def test_the_table_of_differences_has_the_rows_that_are_not_identical():
    found = cells(printed(*SEVEN), "Largest difference from fit at the end")
    assert list(found) == ["fit+jit", "mine:applied_twice", "mine:by_call", "mine:random"]
    assert found["fit+jit"] == ["0", "1e-04", "1e-04", "1e-04"]
    assert found["mine:by_call"] == ["-", "0", "0", "0"]
    assert "Largest difference from" not in printed(*SEVEN[:2])
    assert "Largest difference from" not in printed(SEVEN[-1], SEVEN[2])


def test_the_table_of_seconds_has_the_spread():
    assert cells(printed(*SEVEN), "Seconds per epoch") == {
        "fit": ["0.316", "0.259", "0.374", "-", "253"],
        "graph": ["0.324", "0.183", "0.465", "about the same", "247"],
        "fit+jit": ["0.110", "0.100", "0.120", "0.348 times", "727"],
        "mine:applied_twice": ["1.10", "0.900", "1.20", "3.48 times", "72.7"],
        "mine:by_call": ["1,234*", "1,200", "1,300", "3,907 times", "0.0648"],
        "mine:random": ["-", "-", "-", "-", "-"],
        "mine:broken": ["-", "-", "-", "-", "-"],
    }


@pytest.mark.parametrize(
    ("seconds", "ratio"),
    [
        ((3.0, 4.0), "about the same"),
        ((0.5, 1.0), "about the same"),
        ((1.5, 2.0), "about the same"),
        ((0.5, 9.0), "about the same"),
        ((3.1, 4.1), "1.80 times"),
        ((0.5, 0.9), "0.350 times"),
        ((8.0,), "one epoch only"),
    ],
)
def test_a_ratio_is_shown_where_the_spreads_do_not_overlap(seconds, ratio):
    text = printed(row("fit", seconds=(1.0, 3.0)), row("mine", seconds=seconds))
    assert cells(text, "Seconds per epoch")["mine"][-2] == ratio


def test_the_table_of_other_costs():
    found = cells(printed(*SEVEN), "Other costs")
    assert found["fit"] == ["0.500", "0.0312", "715"]
    assert found["mine:by_call"] == ["-", "0.0312", "715"]
    assert found["mine:broken"] == ["-", "-", "-"]


def test_without_costs_there_are_no_tables_of_them():
    text = printed(row("fit"), row("graph"))
    assert "Seconds per epoch" not in text
    assert "Other costs" not in text
    failed = dataclasses.replace(row("graph"), cost_failure="no time")
    assert "Seconds per epoch" in printed(row("fit"), failed)


@pytest.mark.parametrize(
    ("outcomes", "last"),
    [
        (SEVEN, "4 of 7 loops agree"),
        (SEVEN[:3], "3 of 3 loops agree"),
        (SEVEN[:1], "1 of 1 loops agree"),
        (SEVEN[-2:], "0 of 2 loops agree"),
    ],
)
def test_the_last_line_says_how_many_loops_agree(outcomes, last):
    assert printed(*outcomes).splitlines()[-1] == last
    assert Comparison(outcomes, {}).agree is (last == f"{len(outcomes)} of {len(outcomes)} loops agree")


def test_the_notes_say_why():
    own = row("mine", has_own_optimizer=True, reports_metrics=False)
    lines = printed(*SEVEN, dataclasses.replace(own, cost_failure="no time")).splitlines()
    assert "mine:random undecided: random draws" in lines
    assert "mine:broken failed: ValueError: no" in lines
    assert "mine reports no metrics: only what it trains was compared" in lines
    assert "mine: the cost could not be measured: no time" in lines
    assert [line[:50] for line in lines if "own optimizer" in line] == [
        "mine trains with its own optimizer: model.optimize"
    ]
    assert [line for line in lines if line.startswith("mine:by_call* calls no epoch hooks. ")]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_printed_as_they_are(name):
    """Rich would print `:rocket:` as an emoji and drop `[bold]`."""
    first = Outcome(name, "identical", None, row("").trajectory, cost(1.0))
    outcomes = (first, row(name + "2", "failed", reason=f"ValueError: {name}: no"))
    shown = str(Comparison(outcomes, {}))
    assert f"{name}2 failed: ValueError: {name}: no" in shown
    unfolded = re.sub(r"\s", "", printed(*outcomes, width=300))
    assert unfolded.count(re.sub(r"\s", "", name)) == 8  # twice in three tables and in the reason


def test_a_long_name_folds():
    lines = [line.split() for line in printed(row("x" * 70, seconds=(1.0,))).splitlines()]
    names = [line[0] for line in lines if line and set(line[0]) == {"x"}]
    assert "".join(names) == 3 * "x" * 70
    assert ["1.00", "1.00", "1.00", "-", "80.0"] in [line[1:] for line in lines]


def test_the_repr_of_a_comparison_is_short():
    outcomes = Outcome("fit", "identical", None, None), Outcome("mine", "diverges", "step 1", None)
    assert repr(Comparison(outcomes, {})) == "Comparison(fit: identical, mine: diverges)"


def test_a_notebook_shows_the_tables_and_the_figure():
    outcomes = (*SEVEN, *(row(name, "undecided", reason="random") for name in HOSTILE))
    block = Comparison(outcomes, {})._repr_html_()
    assert re.fullmatch(r"<div><pre>.*</pre><img [^<>]*></div>", block, re.DOTALL)
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', block)
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    tags = set(re.findall(r"</?(\w+)", block))
    assert tags == {"div", "pre", "span", "img"}
    text = html.unescape(re.sub(r"<[^>]+>", "", block))
    for name in HOSTILE:
        assert f"{name} undecided: random" in text
    assert "4 of 13 loops agree" in text
    assert cells(text, "Seconds per epoch")["graph"][-2] == "about the same"
