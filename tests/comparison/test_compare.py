"""Loops are compared from Python and in a test."""

import json
import subprocess
import sys

import pytest

import factories
import kerasmlp
import own_loops
from helpers import events
from kerasmlp import loops


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
