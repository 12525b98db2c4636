"""The command that compares loops."""

import json
import os
import sys

import numpy as np
import pytest

from helpers import cases, events, python
from kerasmlp import comparison
from kerasmlp.compare import main

QUICK = ("--data", "mnist5k", "--epochs", "1", "--batch-size", "500", "--repeats", "1")


@pytest.mark.thorough
def test_the_command_writes_a_report(tmp_path):
    loop = ("--model", "factories:cnn", "--loops", "fit", "graph", "--loop", "own_loops:by_hand")
    command = ("-m", "kerasmlp.compare", *QUICK, *loop, "--output", tmp_path / "report")
    ended = python(*command, PYTHONPATH=os.pathsep.join(sys.path), COLUMNS="80")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "3 of 3 loops agree"
    assert max(map(len, ended.stdout.splitlines())) <= max(80, len(str(tmp_path)) + 20)
    assert "…" not in ended.stdout
    report = json.loads((tmp_path / "report/comparison.json").read_text())
    assert [row["name"] for row in report["rows"]] == ["fit", "graph", "own_loops:by_hand"]
    # Graphs may fuse convolution and batch normalisation differently: then they are equal.
    assert {row["verdict"] for row in report["rows"]} <= {"identical", "equal"}
    assert all(len(row["losses"]) == 8 for row in report["rows"])
    assert all(len(row["cost"]["seconds_per_epoch"]) == 1 for row in report["rows"])
    assert all(row["cost"]["peak_megabytes"] > 100 for row in report["rows"])
    assert (tmp_path / "report/comparison.png").stat().st_size > 10_000
    written = events(tmp_path / "report")
    for row in report["rows"]:
        sub_run = row["name"].replace(":", "_")
        losses = {step: float(loss) for step, loss in written[sub_run, "loss/batch"].items()}
        assert losses == pytest.approx(dict(enumerate(row["losses"], 1)))
        assert list(written[sub_run, "accuracy/running"]) == [8]
        for name in ("experiment", "session_start_info", "session_end_info"):
            assert (sub_run, f"_hparams_/{name}") in written


@pytest.mark.thorough
def test_the_command_prints_verdicts_and_its_exit_status_is_1_if_a_loop_diverges(
    npz, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    flags = ["--data", str(npz), "--batch-size", "8", "--epochs", "1", "--repeats", "0"]
    step = ["--train-step", "own_loops:applied_twice", "--explain"]
    assert main([*flags, "--loops", "fit", *step]) == 1
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"data: {npz}"
    assert any("own_loops:applied_twice diverges: step 1: " in line for line in lines)
    *_, explained, report, last = lines
    assert explained
    (folder,) = (tmp_path / "logs").iterdir()
    assert report == f"report: {folder.relative_to(tmp_path)}"
    assert last == "1 of 2 loops agree"
    rows = json.loads((folder / "comparison.json").read_text())["rows"]
    assert [(row["name"], row["verdict"]) for row in rows] == [
        ("fit", "identical"),
        ("own_loops:applied_twice", "diverges"),
    ]
    assert len(rows[0]["losses"]) == 5
    assert "cost" not in rows[0]


@pytest.mark.parametrize("agree, status", [(True, 0), (False, 1)])
def test_a_model_beside_images_is_said_and_the_settings_reach_the_comparison(
    agree, status, npz, tmp_path, monkeypatch, capsys
):
    heard = []

    class Found:
        summary = "all of them"

        def show_tables(self, console):
            print("tables")

    Found.agree = agree

    def compares(start, rows, *given):
        kinds = {row.name: (row.jit_compile, row.is_step) for row in rows}
        heard.append((start.batch_size, start.seed, kinds, *given[:3]))
        return Found()

    monkeypatch.setattr(comparison, "compare_rows", compares)
    monkeypatch.setattr(comparison.report, "write", lambda found, folder, processes: None)
    flags = ["--data", str(npz), "--batch-size", "8", "--seed", "3", "--epochs", "2", "--repeats", "4"]
    flags += ["--loops", "fit", "graph", "--loop", "own_loops:by_hand", "--jit-compile", "--explain"]
    flags += ["--train-step", "own_loops:applied_twice"]
    monkeypatch.setattr(comparison.report, "explanation", lambda found: "what it means")
    output = tmp_path / "report"
    more = ["--time-limit", "9", "--model", "factories:small", "--output", str(output)]
    assert main([*flags, *more]) == status
    kinds = dict.fromkeys(("fit", "graph", "own_loops:by_hand"), (True, False))
    kinds["own_loops:applied_twice"] = True, True
    assert heard == [(8, 3, kinds, 2, 4, 9.0)]
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        *(f"data: {npz}", "tables", "what it means", f"report: {output}", "all of them")
    ]
    assert f"note: factories:small is compared on the images of {npz}; --data" in printed.err


WRONG = [
    (["--loops", "fitt"], "expected fit, graph, eager or package.module:name"),
    (["--loops", "eager+jit"], "the eager loop compiles nothing"),
    (["--loops", "graph", "graph"], "expected each row once"),
    (["--loops", "own_loops:by_hand"], "first row: expected the loop fit, graph or eager"),
    (["--model", "factories:none"], "has no 'none'"),
    (["--model", "nowhere:cnn"], "the module cannot be imported"),
    (["--model", "factories:uncompiled"], "expected a compiled model"),
    (["--model", "factories:nothing"], "expected a compiled keras.Model; received NoneType"),
    (["--epochs", "0"], "at least 1"),
    (["--time-limit", "nan"], "expected a positive number"),
    (["--batch-size", "5000"], "4,000, the number of training examples"),
    (["--model", "factories:small", "--data", "nowhere:data"], "the module cannot be imported"),
    (["--data", "factories:small"], "expected the model for the data of --data"),
    (
        ["--model", "factories:small", "--data", "factories:data", "--transpose"],
        "--transpose: expected False where a function returns the data; received True",
    ),
    (["--output", "."], "expected the path of a new folder"),
]


@pytest.mark.parametrize(
    "wrong", cases(WRONG, default=(*WRONG[:4], *WRONG[8:10], *WRONG[11:13])), ids=str
)
def test_wrong_input_is_one_line_and_exit_status_2(wrong, tmp_path, monkeypatch, capsys):
    flags, message = wrong
    monkeypatch.chdir(tmp_path)
    assert main(["--data", "mnist5k", "--loops", "fit", "--repeats", "0", *flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("error: ") == 1
    assert "Traceback" not in error
    assert list(tmp_path.glob("logs/*")) == []


@pytest.mark.thorough
def test_what_is_said_of_the_data_is_not_dropped_with_what_tensorflow_says(tmp_path):
    digits = np.random.default_rng(0).random((40, 6, 5))
    labels = np.arange(40) % 3
    np.savez(
        tmp_path / "emnist.npz", x_train=digits, y_train=labels, x_test=digits[:9], y_test=labels[:9]
    )
    flags = ("--data", "emnist.npz", "--batch-size", "8", "--repeats", "0", "--loops", "fit", "eager")
    pixels, turned = "note: emnist.npz: pixels (float64, ", "note: emnist.npz: EMNIST's images lie on"
    for more, said in (((), [pixels, turned]), (("--transpose",), [pixels])):
        ended = python("-m", "kerasmlp.compare", *flags, *more, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        notes = [line for line in ended.stderr.splitlines() if line.startswith("note: emnist")]
        assert [line[: len(of)] for line, of in zip(notes, said, strict=True)] == said


@pytest.mark.thorough
def test_distributed_loops_are_rows(tmp_path):
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
