"""The list of the runs; the newest one as `latest`."""

import json
import os

import pytest

from kerasmlp import evaluate
from kerasmlp.list import main
from kerasmlp.runs import run_folder


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """A folder with a run that ended, one that did not, one of `kerasmlp.fit`, and other things."""
    monkeypatch.chdir(tmp_path)
    trained = {
        "recipe": "default",
        "hidden_units": [100, 30],
        "loop": "graph",
        "epochs": 5,
        "data": "auto",
    }
    for number, (name, settings) in enumerate(
        {"one": trained, "two": {**trained, "model": "mine:make"}, "three": {"loop": "fit"}}.items()
    ):
        folder = tmp_path / "logs" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(settings))
        os.utime(folder / "config.json", (number, number))
    metrics = {"dataset": "mnist", "epochs": 4, "test_accuracy": 0.97526, "validation_accuracy": 0.5}
    (tmp_path / "logs/one/metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "logs/three/metrics.json").write_text("{half")
    (tmp_path / "logs/two/history.csv").write_text("epoch,loss\n0,1.5\n1,1.25\n")
    for name, seeds in (("four", {"test_accuracy": {"mean": 0.5}, "dataset": "mnist"}), ("five", None)):
        folder = tmp_path / "logs" / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({**trained, "seeds": 3}))
        os.utime(folder / "config.json", (9, 9))
        if seeds:
            (folder / "seeds.json").write_text(json.dumps(seeds))
    (tmp_path / "logs/other").mkdir()
    return tmp_path / "logs"


def test_a_row_tells_what_was_trained_and_how_it_ended_or_goes_on(logs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    one, two, three, *of_seeds = (
        [cell.strip() for cell in line.strip("│").split("│")] for line in lines if "│" in line
    )
    assert one[:7] == ["one", "MLP 100 30", "mnist", "graph", "4", "0.5000", "0.9753"] and one[7]
    assert two == ["two", "mine:make", "auto", "graph", "2 of 5", "", "", ""]
    assert three == ["three", "", "", "fit", "0 of ?", "", "", ""]
    four, five = sorted(of_seeds, reverse=True)
    assert four[:7] == ["four", "3 seeds of MLP 100 30", "mnist", "graph", "5", "", "0.5000"] and four[7]
    assert five == ["five", "3 seeds of MLP 100 30", "auto", "graph", "5", "", "", ""]
    assert sorted(line for line in lines if "to go on" in line) == [
        "five has not ended; to go on: python -m kerasmlp.seeds --resume --name five",
        "three has not ended; to go on: kerasmlp.fit(..., run='logs/three', resume=True)",
        "two has not ended; to go on: python -m kerasmlp.train --resume --name two",
    ]
    assert lines[-1] == "5 runs in logs"


def test_a_folder_without_runs_and_none_are_told(tmp_path, capsys):
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"0 runs in {tmp_path}\n"
    assert main([str(tmp_path / "no")]) == 2
    assert "expected a folder of run folders" in capsys.readouterr().err


def test_latest_is_the_newest_run(logs, capsys):
    assert run_folder.named(run_folder.LATEST) == logs.relative_to(logs.parent) / "three"
    assert evaluate.main(["latest"]) == 2
    assert "logs/three has no model.keras" in capsys.readouterr().err
    (logs.parent / "latest").mkdir()
    assert run_folder.named(run_folder.LATEST) == run_folder.LATEST
