"""Loops are compared from Python and in a test."""

import contextlib
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import factories
import kerasmlp
import own_loops
from helpers import events
from kerasmlp import loops
from kerasmlp.comparison import compare, report
from kerasmlp.comparison.result import Comparison
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.start import Start
from kerasmlp.data import Parts
from outcomes import row as outcome_of


@pytest.mark.thorough
def test_own_loops_are_compared_and_failures_are_reported(digits, tmp_path):
    result = kerasmlp.compare_loops(
        factories.small,
        digits,
        {
            "fit": "fit",
            "mine": lambda *args: loops.LOOPS["graph"](*args),
            "wrong": loops.traced(own_loops.applied_twice),
            "raises": own_loops.raises,
            "nothing": own_loops.returns_nothing,
            "dies": own_loops.dies,
            "hangs": own_loops.hangs,
        },
        batch_size=7,
        repeats=0,
        time_limit=40,
        output=tmp_path / "report",
    )
    verdicts = {outcome.name: outcome.verdict for outcome in result.outcomes}
    assert verdicts == {
        "fit": "identical",
        "mine": "identical",
        "wrong": "diverges",
        "raises": "failed",
        "nothing": "identical",
        "dies": "failed",
        "hangs": "failed",
    }
    reasons = {outcome.name: outcome.reason for outcome in result.outcomes}
    assert "each update is applied twice" in reasons["wrong"]
    assert reasons["raises"].startswith("RuntimeError: no such thing (own_loops.py, line ")
    assert "nothing reports no metrics: only what it trains was compared" in str(result)
    assert "killed by signal 9" in reasons["dies"]
    assert "no message for 40 s" in reasons["hangs"]
    assert not result.agree
    assert json.loads((tmp_path / "report/comparison.json").read_text())["agree"] is False


@pytest.mark.thorough
def test_loops_that_agree_pass_the_assertion(digits):
    kerasmlp.assert_loops_agree(factories.small, digits, {"graph": "graph"}, batch_size=7, epochs=1)


def test_the_message_of_the_assertion_is_the_diagnosis_and_the_report_is_written(digits, tmp_path):
    wrong, report = {"mine:wrong": loops.traced(own_loops.applied_twice)}, tmp_path / "report"
    with pytest.raises(AssertionError, match=r"mine:wrong diverges: step 1: .*applied twice"):
        kerasmlp.assert_loops_agree(
            factories.small, digits, wrong, batch_size=7, epochs=1, output=report
        )
    assert (report / "comparison.png").read_bytes().startswith(b"\x89PNG")
    names = {path.name for path in report.iterdir()}
    assert names == {"comparison.json", "comparison.png", "fit", "mine_wrong"}
    rows = json.loads((report / "comparison.json").read_text())["rows"]
    assert [row["verdict"] for row in rows] == ["identical", "diverges"]
    written = events(report)
    for row, folder in zip(rows, ("fit", "mine_wrong"), strict=True):
        losses = dict(enumerate(row["losses"], 1))
        assert len(losses) == 6
        assert written[folder, "loss/batch"] == pytest.approx(losses)


@pytest.fixture
def compared(monkeypatch):
    """What a comparison would begin with: nothing is trained, and the report is noted."""
    heard = {"written": []}

    def compare_rows(start, rows, *given):
        heard.update(start=start, rows=list(rows), given=given)
        return Comparison(heard.get("outcomes", (outcome_of("fit"),)), {})

    monkeypatch.setattr(compare, "new_processes", lambda: contextlib.nullcontext("processes"))
    monkeypatch.setattr(compare, "compare_rows", compare_rows)
    monkeypatch.setattr(report, "write", lambda *given: heard["written"].append(given))
    return heard


X, Y = np.zeros((6, 2), np.float32), np.array([0, 1, 2, 0, 1, 2])


def test_all_that_a_comparison_is_given_reaches_the_rows(compared, tmp_path):
    def mine(model, train, validation, epochs, callbacks):
        pass

    result = kerasmlp.compare_loops(
        "nowhere:model",
        (X, Y),
        {"first": "fit+jit@5", "mine": mine},
        epochs=3,
        batch_size=4,
        seed=7,
        repeats=2,
        time_limit=9.0,
        output=tmp_path / "report",
        validation_data=(X[:5], Y[:5]),
        class_weight={1: 2.0},
        callbacks=[keras.callbacks.TerminateOnNaN()],
    )
    start = compared["start"]
    assert (start.make_model, start.batch_size, start.seed) == ("nowhere:model", 4, 7)
    assert start.validation.examples == 5
    assert list(start.train.padded[2]) == [1, 2, 1, 1, 2, 1]
    assert [type(each) for each in start.callbacks] == [keras.callbacks.TerminateOnNaN]
    assert compared["rows"] == [Row("first", "fit", False, True, 5), Row("mine", mine)]
    assert compared["given"] == (3, 2, 9.0, "processes")
    assert compared["written"] == [(result, tmp_path / "report", "processes")]


def test_by_default_the_built_in_loops_are_compared_without_a_report(compared):
    kerasmlp.compare_loops("nowhere:model", (X, Y))
    start = compared["start"]
    assert (start.batch_size, start.seed, start.validation, start.callbacks) == (50, 0, None, ())
    assert len(start.train.parts) == 2
    assert [(each.name, each.loop) for each in compared["rows"]] == [
        (name, name) for name in ("fit", "graph", "eager")
    ]
    assert compared["given"] == (2, 5, 300.0, "processes")
    assert compared["written"] == []


@pytest.mark.parametrize(
    "loops, names",
    [
        ({"mine": "own_loops:by_hand"}, ["fit", "mine"]),
        ({"mine": own_loops.by_hand}, ["fit", "mine"]),
        ({"first": "graph+jit", "mine": own_loops.by_hand}, ["first", "mine"]),
        ({"last": "eager"}, ["last"]),
    ],
)
def test_the_first_loop_of_an_assertion_is_built_in(compared, loops, names):
    kerasmlp.assert_loops_agree("nowhere:model", (X, Y), loops, seed=3)
    assert [each.name for each in compared["rows"]] == names
    assert names[0] != "fit" or compared["rows"][0].loop == "fit"
    assert compared["given"][1] == 0 and compared["start"].seed == 3  # no cost is measured
    kerasmlp.assert_loops_agree("nowhere:model", (X, Y), loops, repeats=4)
    assert compared["given"][1] == 4


def test_an_assertion_says_which_loops_do_not_agree(compared):
    compared["outcomes"] = outcome_of("fit"), outcome_of("mine", "diverges", reason="step 1")
    with pytest.raises(AssertionError) as raised:
        kerasmlp.assert_loops_agree("nowhere:model", (X, Y), {"mine": "own_loops:by_hand"})
    assert str(raised.value) == "the loops do not agree\nmine diverges: step 1"


def start_with(batch_size, examples=4):
    data = Parts((np.zeros(examples), np.zeros(examples)))
    return Start("nowhere:model", data, data, batch_size, 7)


class Processes:
    """What starts processes: notes that it is waited for."""

    def __init__(self):
        self.waited = 0

    def wait_until_ready(self):
        self.waited += 1


@pytest.mark.parametrize("repeats", [0, 1])
@pytest.mark.parametrize("batch_size, epochs", [(1, 1), (4, 2)])
def test_rows_are_checked_for_agreement_then_timed(batch_size, epochs, repeats, monkeypatch):
    rows, processes, heard = [Row("fit", "fit"), Row("mine", "a:b")], Processes(), []

    def check_agreement(*given):
        heard.append(("agreement", given, processes.waited))
        return ["agrees"]

    def measure_costs(*given):
        heard.append(("cost", given))
        return ["timed"]

    monkeypatch.setattr(compare, "check_agreement", check_agreement)
    monkeypatch.setattr(compare, "measure_costs", measure_costs)
    start = start_with(batch_size)
    result = compare.compare_rows(start, rows, epochs, repeats, 9.0, processes)
    (_, (*given, progress), waited), *timed = heard
    assert given == [start, rows, epochs, 9.0, processes] and waited == 1
    cost = ("cost", (start, rows, ["agrees"], repeats, 9.0, processes, progress))
    assert timed == ([cost] if repeats else [])
    assert result.outcomes == (("timed",) if repeats else ("agrees",))
    assert result.settings == {
        "epochs": epochs,
        "batch_size": batch_size,
        "seed": 7,
        "repeats": repeats,
        "training_examples": 4,
        "steps_per_epoch": 4 // batch_size,
    }


FIT, MINE, EAGER = Row("fit", "fit"), Row("mine", "a:b"), Row("eager", "eager")
FIRST = "first row: expected the loop fit, graph or eager, because the other rows are compared with it;"


@pytest.mark.parametrize(
    "rows, batch_size, epochs, repeats, message",
    [
        ([], 4, 1, 0, f"{FIRST} received none"),
        ([MINE, FIT], 4, 1, 0, f"{FIRST} received mine, a loop"),
        (
            [FIT, EAGER, MINE, EAGER, FIT],
            *(4, 1, 0),
            "rows: expected each row once; received eager, fit twice",
        ),
        (
            [FIT],
            *(0, 1, 0),
            "batch size: expected 1 to 4, the number of training examples; received 0",
        ),
        (
            [FIT],
            *(5000, 1, 0),
            "batch size: expected 1 to 4, the number of training examples; received 5,000",
        ),
        ([FIT], 4, 0, 0, "epochs: expected at least 1; received 0"),
        ([FIT], 4, 1, -1, "repeats: expected at least 0; received -1"),
    ],
)
def test_wrong_rows_and_settings_are_refused(rows, batch_size, epochs, repeats, message):
    with pytest.raises(ValueError) as raised:
        compare.compare_rows(start_with(batch_size), rows, epochs, repeats, 9.0, Processes())
    assert str(raised.value) == message


def test_what_starts_the_processes_imports_what_they_run(monkeypatch):
    monkeypatch.setattr(compare, "starter", lambda *modules: modules)
    modules = compare.new_processes()
    assert modules == tuple(f"kerasmlp.comparison.{name}" for name in ("trajectory", "timing", "runs"))


def test_the_process_that_compares_imports_no_tensorflow():
    program = """
import sys
import kerasmlp.compare, kerasmlp.comparison
kerasmlp.comparison.compare_rows, kerasmlp.comparison.report.write
assert "kerasmlp.comparison.cost" in sys.modules
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
