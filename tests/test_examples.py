"""The examples do what they say."""

import json

import pytest

from helpers import python


@pytest.mark.thorough
def test_the_examples_are_compared(tmp_path):
    loops = ("--loop", "examples.loop:train", "examples.loop:forgetful")
    step = ("--train-step", "examples.step:train_step")
    quick = ("--epochs", "1", "--batch-size", "500", "--repeats", "0", "--output", tmp_path / "report")
    command = ("--data", "mnist5k", "--loops", "fit", *loops, *step)
    ended = python("-m", "kerasmlp.compare", "--model", "examples.model:make_model", *command, *quick)
    assert ended.returncode == 1, ended.stderr
    rows = json.loads((tmp_path / "report/comparison.json").read_text())["rows"]
    verdicts = {row["name"].partition(":")[2]: row["verdict"] for row in rows}
    assert verdicts["train"] in ("identical", "equal")
    assert verdicts["train_step"] in ("identical", "equal")
    assert verdicts["forgetful"] == "diverges"
    assert "regularisation losses are left out (certain" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "3 of 4 loops agree"
