"""The tables and notes of a comparison."""

import base64
import dataclasses
import html
import io
import math
import re

import numpy as np
import pytest
from rich import box
from rich.console import Console

from kerasmlp.comparison import tables
from kerasmlp.comparison.result import Comparison
from kerasmlp.comparison.verdict import (
    PARTIAL_DROPPED,
    Divergence,
    Outcome,
    differences,
    judge,
    same,
)
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
    other = [np.ones(3, np.float32)]
    assert verdict(weights=0.0, optimizer=other) == "equal"
    assert verdict(optimizer=other, has_own_optimizer=True) == "identical"
    assert verdict(weights=1e-9, optimizer=trajectory().optimizer) == "equal"
    assert verdict(predictions=other) == "equal"
    assert verdict(predictions=[]) == "equal"
    assert judge("mine", trajectory(), "it failed").verdict == "equal"
    first_tells_none = trajectory(losses=[])
    assert judge("mine", trajectory(), first_tells_none).verdict == "identical"


def test_a_divergence_counts_more_than_what_is_not_known_if_it_has_no_size():
    counted = Divergence(4, "the loop ended after 3 steps, not after 6")
    measured = Divergence(4, "kernel", 0.5, 0.25)
    random = "it draws"
    outcome = judge("mine", trajectory(divergence=counted, undecided=random), None)
    assert (outcome.verdict, outcome.reason) == ("diverges", str(counted))
    outcome = judge("mine", trajectory(divergence=measured, undecided=random), None)
    assert (outcome.verdict, outcome.reason) == ("undecided", random)
    outcome = judge("mine", trajectory(divergence=measured), None)
    assert (outcome.verdict, outcome.reason) == ("diverges", str(measured))
    outcome = judge("mine", trajectory(undecided=random), None)
    assert (outcome.verdict, outcome.reason, outcome.name) == ("undecided", random, "mine")
    failed = judge("mine", "ValueError: no", trajectory())
    assert failed == Outcome("mine", "failed", "ValueError: no", None)
    assert judge("mine", trajectory(steps=0, end_is_seen=True), None).verdict == "equal"


@pytest.mark.parametrize(
    "divergence, text",
    [
        (
            Divergence(3, "kernel", 0.123, 4.56e-7, "the cause"),
            "step 3: kernel differs by 0.12 (bound on rounding: 4.6e-07); cause: the cause",
        ),
        (Divergence(3, "kernel", 0.0, 0.25), "step 3: kernel differs by 0 (bound on rounding: 0.25);"),
        (Divergence(3, "kernel", 2.0), "step 3: kernel differs by 2; cause: unknown"),
        (Divergence(3, "it ended", bound=0.5), "step 3: it ended; cause: unknown"),
        (Divergence(3, "it ended"), "step 3: it ended; cause: unknown"),
    ],
)
def test_a_divergence_in_words(divergence, text):
    assert str(divergence).startswith(text)


def test_states_are_the_same_if_types_shapes_and_bits_are():
    ones, zero = np.ones(2, np.float32), np.zeros(1)
    assert same([ones, zero], [ones.copy(), zero.copy()]) and same([], [])
    for other in (
        *([], [ones], [ones, zero, zero], [ones, -zero]),
        *([ones[None], zero], [ones.view(np.int32), zero], [ones + 1, zero], [zero, ones]),
    ):
        assert not same([ones, zero], other) and not same(other, [ones, zero])
    nan = np.array([np.nan])
    assert same([nan], [nan.copy()])


def test_differences_are_the_largest_of_each_part():
    seed = np.array([7, 8], np.uint32)
    one = dataclasses.replace(
        trajectory(),
        losses=[1.0, 2.0],
        weights=[np.array([1.0, 2.0]), seed],
        optimizer=[np.array(3), np.array([0.5])],
        predictions=[np.zeros((2, 2)), np.zeros(0)],
    )
    other = dataclasses.replace(
        trajectory(),
        losses=[1.5, 1.75],
        weights=[np.array([1.125, 1.0]), seed + 90],
        optimizer=[np.array(5), np.array([0.0])],
        predictions=[np.array([[0.0, -4.0], [3.0, 0.0]]), np.zeros(0)],
    )
    found = differences(one, other)
    assert found == {"losses": 0.5, "weights": 1.0, "optimizer": 2.0, "predictions": 4.0}
    own = dataclasses.replace(other, has_own_optimizer=True, predictions=[], losses=[1.0])
    assert differences(one, own) == {**found, "losses": None, "optimizer": None, "predictions": None}
    assert differences(own, other)["optimizer"] == 0.0
    nothing = dataclasses.replace(one, losses=[])
    assert differences(nothing, nothing)["losses"] is None


def test_what_was_compared_is_said():
    assert trajectory(steps=4).seen == "4 of 4 steps"
    assert trajectory(steps=4, end_is_seen=True).seen == "4 of 4 steps"
    assert trajectory(steps=0, end_is_seen=True).seen == "0 steps, and the end"
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
    lines = text[: text.index("mine:applied_twice diverges: ")].splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in text


def test_a_narrow_terminal_folds_the_names_and_not_the_numbers():
    found = tables.tables(SEVEN)
    heads = [
        ["verdict", "steps compared", "largest difference\nfrom Keras' own step"],
        ["losses\nof the steps", "weights", "optimizer\nstate", "predictions"],
        ["median", "fastest", "slowest", "compared with\nthe first row", "steps per\nsecond"],
        [
            "seconds to the first\nstep, with compiling",
            "seconds to evaluate\nthe test examples",
            "peak memory\nin MiB",
        ],
    ]
    for table, expected in zip(found, heads, strict=True):
        name, *others = table.columns
        assert [column.header for column in others] == expected
        assert (name.header, name.overflow, name.vertical, name.no_wrap) == (
            *("loop", "fold", "bottom", False),
        )
        assert all(column.no_wrap for column in others)
        sides = ["left" if head == "verdict" else "right" for head in expected]
        assert [column.justify for column in others] == sides
        assert (table.title_justify, table.title.style, table.padding) == ("left", "bold", (0, 1, 0, 0))
        assert table.box is box.SIMPLE_HEAD


@pytest.mark.parametrize(
    "value, text",
    [
        *((99.6, "99.6"), (100.0, "100"), (1234.5, "1,234"), (99.99, "100"), (12.0, "12.0")),
        *((0.03125, "0.0312"), (1.0, "1.00"), (0.000012, "1.20e-05")),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert tables.number(value) == text


def test_what_is_not_known_of_a_cost_is_a_line():
    unknown = dataclasses.replace(row("fit", seconds=(1.0,)).cost, peak_megabytes=0.0)
    outcome = dataclasses.replace(row("fit"), cost=unknown)
    assert cells(printed(outcome), "Other costs")["fit"] == ["0.500", "0.0312", "-"]


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


def test_the_diagnosis_has_the_reasons_and_nothing_else():
    assert Comparison(SEVEN, {}).diagnosis.splitlines() == [
        "mine:applied_twice diverges: step 1",
        "mine:random undecided: random draws",
        "mine:broken failed: ValueError: no",
    ]
    assert Comparison(SEVEN[:3], {}).diagnosis == ""


def test_the_summary_is_printed_plain_on_a_terminal_too():
    text = io.StringIO()
    console = Console(file=text, width=80, force_terminal=True, color_system="standard")
    Comparison(SEVEN[-1:], {}).show(console)
    assert text.getvalue().splitlines()[-2:] == [
        "mine:broken failed: ValueError: no",
        "0 of 1 loops agree",
    ]


def test_as_text_a_comparison_has_110_columns_and_no_styles(terminal):
    shown = str(Comparison((row("x" * 200), row("fit", "failed", reason="y" * 200)), {}))
    assert max(map(len, shown.splitlines()[:-2])) == 110
    assert shown.splitlines()[-2] == f"fit failed: {'y' * 200}"  # for a terminal to fold
    assert "x" * 51 in shown and "\x1b" not in shown


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
    assert not [line for line in lines if line.startswith("fit")]
    divergence = Divergence(1, "kernel")
    wrong = row("mine", "diverges", reason="why", divergence=divergence, reports_metrics=False)
    assert tables.notes([wrong]) == ["mine diverges: why"]
    hidden = row("mine", "equal", seconds=(1.0,), by_epoch=False)
    failed = dataclasses.replace(hidden, cost_failure="no time")
    assert tables.notes([failed]) == ["mine: the cost could not be measured: no time"]


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
    assert "class=" not in block, "a notebook has no style sheet for it"
    text = html.unescape(re.sub(r"<[^>]+>", "", block))
    for name in HOSTILE:
        assert f"{name} undecided: random" in text
    assert "4 of 13 loops agree" in text
    assert cells(text, "Seconds per epoch")["graph"][-2] == "about the same"
