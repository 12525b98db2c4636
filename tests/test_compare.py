"""The comparison as its users meet it: from Python, in a test, on the command line."""

import json

import pytest

import factories
import faults
import kerasmlp
from helpers import cases, events, python
from kerasmlp import loops
from kerasmlp.compare import main

QUICK = ("--data", "mnist5k", "--epochs", "1", "--batch-size", "500", "--repeats", "1")


def small():
    return factories.mlp((6, 6, 1), 3)


@pytest.mark.thorough
def test_loops_of_ones_own_from_python(digits, tmp_path):
    result = kerasmlp.compare_loops(
        small,
        digits,
        {
            "fit": "fit",
            "mine": lambda *args: loops.LOOPS["graph"](*args),
            "wrong": loops.traced(faults.applied_twice),
            "raises": faults.raises,
            "nothing": faults.returns_nothing,
            "dies": faults.dies,
            "hangs": faults.hangs,
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
        "nothing": "failed",
        "dies": "failed",
        "hangs": "failed",
    }
    reasons = {outcome.name: outcome.reason for outcome in result.outcomes}
    assert "each update is applied twice" in reasons["wrong"]
    assert reasons["raises"] == "RuntimeError: no such thing"
    assert "it returned NoneType" in reasons["nothing"]
    assert "killed by signal 9" in reasons["dies"]
    assert "no sign of life for 40 s" in reasons["hangs"]
    assert not result.agree
    assert json.loads((tmp_path / "report/comparison.json").read_text())["agree"] is False


@pytest.mark.thorough
def test_the_assertion_holds_for_loops_that_agree(digits):
    kerasmlp.assert_loops_agree(small, digits, {"graph": "graph"}, batch_size=7, epochs=1)


def test_the_assertions_message_is_the_diagnosis(digits):
    wrong = {"wrong": loops.traced(faults.applied_twice)}
    with pytest.raises(AssertionError, match=r"wrong diverges: step 1: .*applied twice"):
        kerasmlp.assert_loops_agree(small, digits, wrong, batch_size=7, epochs=1)


@pytest.mark.thorough
def test_the_command_and_its_report(tmp_path):
    loop = ("--model", "factories:cnn", "--loops", "fit", "graph", "--loop", "faults:by_hand")
    command = ("-m", "kerasmlp.compare", *QUICK, *loop, "--output", tmp_path / "report")
    ended = python(*command, PYTHONPATH="tests/comparison", COLUMNS="80")
    assert ended.returncode == 0, ended.stderr
    assert "the loops agree" in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= max(80, len(str(tmp_path)) + 20)
    assert "…" not in ended.stdout
    report = json.loads((tmp_path / "report/comparison.json").read_text())
    assert [row["name"] for row in report["rows"]] == ["fit", "graph", "faults:by_hand"]
    # A graph may fuse convolution and batch normalisation otherwise: equal, then.
    assert {row["verdict"] for row in report["rows"]} <= {"identical", "equal"}
    assert all(len(row["losses"]) == 8 for row in report["rows"])
    assert all(len(row["cost"]["seconds_per_epoch"]) == 1 for row in report["rows"])
    assert all(row["cost"]["peak_megabytes"] > 100 for row in report["rows"])
    assert (tmp_path / "report/comparison.png").stat().st_size > 10_000
    written = events(tmp_path / "report")
    for row in report["rows"]:
        losses = {step: float(loss) for step, loss in written[row["name"], "loss/batch"].items()}
        assert losses == pytest.approx(dict(enumerate(row["losses"], 1)))
        assert list(written[row["name"], "accuracy/running"]) == [8]
        for name in ("experiment", "session_start_info", "session_end_info"):
            assert (row["name"], f"_hparams_/{name}") in written


@pytest.mark.thorough
def test_a_divergence_ends_with_1(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    step = ("--train-step", "faults:applied_twice", "--loops", "fit")
    assert main([*QUICK, "--repeats", "0", *step]) == 1
    printed = capsys.readouterr().out
    assert "faults:applied_twice diverges: step 1: " in printed
    assert "the loops do not agree" in printed


WRONG = [
    (["--loops", "fitt"], "expected fit, graph, eager or package.module:name"),
    (["--loops", "eager+jit"], "the eager loop compiles nothing"),
    (["--loops", "graph", "graph"], "expected each row once"),
    (["--loops", "faults:by_hand"], "as the first row"),
    (["--model", "factories:none"], "has no 'none'"),
    (["--model", "nowhere:cnn"], "the module cannot be imported"),
    (["--model", "factories:uncompiled"], "expected a compiled model"),
    (["--model", "factories:nothing"], "expected a compiled keras.Model; received NoneType"),
    (["--model", "factories:own_step"], "has a train_step of its own"),
    (["--epochs", "0"], "at least 1"),
    (["--time-limit", "nan"], "a positive number of seconds"),
    (["--batch-size", "5000"], "4,000 training examples"),
    (["--output", "."], "expected the path of a new folder"),
]


@pytest.mark.parametrize("wrong", cases(WRONG, default=(*WRONG[:4], *WRONG[9:11])), ids=str)
def test_wrong_input_ends_with_2_and_a_line(wrong, tmp_path, monkeypatch, capsys):
    flags, message = wrong
    monkeypatch.chdir(tmp_path)
    assert main(["--data", "mnist5k", "--loops", "fit", "--repeats", "0", *flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("error: ") == 1
    assert "Traceback" not in error
    assert list(tmp_path.glob("logs/*")) == []


@pytest.mark.thorough
def test_spread_loops_are_rows(tmp_path):
    rows = ("graph", "fit+mirrored3@4", "graph+multiworker2@3", "fit+multiworker2")
    flags = (*QUICK, "--batch-size", "970", "--loops", *rows, "--output", tmp_path / "report")
    ended = python("-m", "kerasmlp.compare", *flags, COLUMNS="80")
    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert "…" not in ended.stdout
    report = json.loads((tmp_path / "report/comparison.json").read_text())
    assert [row["name"] for row in report["rows"]] == list(rows)
    assert [row["verdict"] for row in report["rows"]] == ["identical", "equal", "equal", "equal"]
    for row in report["rows"]:
        assert row["losses"] == pytest.approx(report["rows"][0]["losses"], rel=1e-4)
        assert len(row["losses"]) == 5
        assert row["cost"]["peak_megabytes"] > 100
