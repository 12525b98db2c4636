import contextlib
import io
import json
import signal

import numpy as np
import pytest

from helpers import events, save_npz
from kerasmlp import runs, seeds, train
from kerasmlp.callbacks.interruption import Interrupted
from kerasmlp.runs import repetition

FLAGS = (
    "--epochs 1 --batch-size 7 --validation-size 15 --loop eager --summaries hparams --seeds 3 --seed 4"
)


@pytest.fixture
def repeat(npz, tmp_path):
    """Calls the command; returns its exit status."""

    def call(*flags):
        new = [] if "--resume" in flags else ["--data", str(npz), *FLAGS.split()]
        return seeds.main([*new, "--logdir", str(tmp_path), "--name", "mine", *map(str, flags)])

    return call


def test_statistics():
    """Student's t of 4 degrees of freedom is 2.776 at 97.5 %."""
    values = [0.1, 0.2, 0.3, 0.4, 0.5]
    found = runs.statistics([{"a": value} for value in values], "a")
    deviation = np.sqrt(0.1 / 4)
    assert found["mean"] == pytest.approx(0.3)
    assert found["standard_deviation"] == pytest.approx(deviation)
    half = 2.776445 * deviation / np.sqrt(5)
    assert (found["low"], found["high"]) == pytest.approx((0.3 - half, 0.3 + half))


def test_seeds_that_agree_leave_no_interval():
    found = runs.statistics([{"a": 0.5}] * 3, "a")
    assert found == {"mean": 0.5, "standard_deviation": 0.0, "low": 0.5, "high": 0.5}


@pytest.mark.parametrize(
    "name, values, low, high",
    [
        ("test_accuracy", [0.55, 0.95], 0.0, 1.0),
        ("test_binary_accuracy", [0.999, 1.0], 0.99315, 1.0),
        ("test_loss", [0.1, 0.9], 0.0, 5.58248),
        ("seconds_per_epoch", [1.0, 3.0], 0.0, 14.7062),
        ("test_accuracy", [55.0, 95.0], 0.0, 329.124),  # in percent
        ("test_loss", [-0.9, 0.1], -6.75310, 5.95310),  # one that may be negative
        ("test_r2", [0.1, 0.9], -4.58248, 5.58248),
    ],
)
def test_the_interval_has_only_what_is_possible(name, values, low, high):
    """Student's t of 1 degree of freedom is 12.7062 at 97.5 %."""
    found = runs.statistics([{name: value} for value in values], name)
    assert found["mean"] == pytest.approx(np.mean(values))
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-5, rel=1e-5)


@pytest.mark.parametrize("count, told", [(2, True), (5, False)])
def test_few_seeds_say_little(count, told, monkeypatch, capsys):
    run = {"test_accuracy": 0.5, "seconds_per_epoch": 1.0}
    all_runs = [run] * count
    result = {"dataset": "x", "seeds": list(range(count)), "runs": all_runs}
    result |= {name: runs.statistics(all_runs, name) for name in run}
    monkeypatch.setattr(runs, "repeat", lambda *_: ("folder", result))
    assert seeds.main([]) == 0
    assert (f"note: {count} seeds say little of the mean" in capsys.readouterr().err) == told


@pytest.fixture(scope="module")
def whole(tmp_path_factory, digits):
    """The folder of three seeds that were not interrupted, and what the command printed."""
    logs = tmp_path_factory.mktemp("logs")
    flags = ["--data", save_npz(logs, digits), *FLAGS.split(), "--logdir", logs, "--name", "whole"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert seeds.main([*map(str, flags)]) == 0
    return logs / "whole", printed.getvalue()


def test_each_seed_is_a_run_and_together_they_are_a_row(whole, npz, tmp_path):
    folder, output = whole
    runs = {seed: json.loads((folder / f"seed{seed}/metrics.json").read_text()) for seed in (4, 5, 6)}
    result = json.loads((folder / "seeds.json").read_text())
    accuracies = [metrics["test_accuracy"] for metrics in runs.values()]
    assert [metrics["seed"] for metrics in runs.values()] == result["seeds"] == [4, 5, 6]
    assert result["test_accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
    assert result["test_accuracy"]["standard_deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    for accuracy in (*accuracies, np.mean(accuracies)):
        assert f"{accuracy:.4f}" in output
    single = ["--data", npz, *FLAGS.split()[:-4], "--seed", "5", "--logdir", tmp_path, "--name", "one"]
    assert train.main([*map(str, single)]) == 0
    alone = json.loads((tmp_path / "one/metrics.json").read_text())
    assert alone["test_loss"] == runs[5]["test_loss"]

    written = events(folder)
    mean = result["test_accuracy"]["mean"]
    assert written[".", "trained/test_accuracy"] == {alone["steps"]: np.float32(mean)}
    assert written["seed4/train", "trained/test_accuracy"][alone["steps"]] == np.float32(accuracies[0])
    high = written[".", "trained/test_accuracy_high"][alone["steps"]]
    assert high == np.float32(result["test_accuracy"]["high"])


def test_what_is_interrupted_goes_on(repeat, whole, tmp_path, monkeypatch, capsys):
    trained, calls = repetition.train, []

    def interrupted(settings):
        calls.append(settings.seed)
        if len(calls) == 2:
            raise Interrupted(signal.SIGINT, "interrupted after step 3", resume_command="this run alone")
        return trained(settings)

    monkeypatch.setattr(repetition, "train", interrupted)
    assert repeat("--seeds", 2) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    expected = "interrupted after step 3; to resume: python -m kerasmlp.seeds --resume --name mine"
    assert last == f"{expected} --logdir {tmp_path}"
    assert not (tmp_path / "mine/seeds.json").exists()
    assert repeat("--resume") == 0
    assert calls == [4, 5, 5]  # the first is not trained again
    assert repeat("--resume", "--seeds", 3) == 0
    assert calls == [4, 5, 5, 6]
    once, at_once = (
        json.loads((folder / "seeds.json").read_text()) for folder in (tmp_path / "mine", whole[0])
    )
    assert once["test_accuracy"] == at_once["test_accuracy"]
    assert once["test_loss"] == at_once["test_loss"]
    assert len(events(tmp_path / "mine")[".", "trained/test_accuracy"]) == 1


@pytest.mark.parametrize("content", ["", "{", "{}", "[]"])
def test_a_run_whose_metrics_are_damaged_has_not_ended(content, repeat, tmp_path, monkeypatch):
    trained = []

    def run(settings, folder, seed):
        trained.append(seed)
        metrics = {"dataset": "digits", "parameters": 7, "epochs": 1, "steps": 4}
        metrics |= {"test_accuracy": 0.5, "seconds_per_epoch": 1.0}
        (folder / f"seed{seed}").mkdir(exist_ok=True)
        (folder / f"seed{seed}/metrics.json").write_text(json.dumps(metrics))
        return metrics

    monkeypatch.setattr(repetition, "_run", run)
    assert repeat("--seeds", 2) == 0
    (tmp_path / "mine/seed4/metrics.json").write_text(content)
    assert repeat("--resume") == 0
    assert trained == [4, 5, 4]


def test_one_seed_has_no_deviation(repeat, capsys):
    assert repeat("--seeds", 1) == 2
    assert capsys.readouterr().err == "error: --seeds: expected at least 2; received 1\n"


def test_seeds_beyond_the_largest_are_refused(repeat, tmp_path, capsys):
    assert seeds.Settings(seed=2**31 - 3, seeds=3).all_seeds[-1] == 2**31 - 1
    assert repeat("--seed", 2**31 - 2) == 2
    assert "--seeds: expected no seed above 2147483647; received 3" in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


def test_a_cluster_is_refused(repeat, capsys):
    assert repeat("--strategy", "multiworker", "--loop", "graph") == 2
    assert "--strategy: expected none or mirrored with kerasmlp.seeds" in capsys.readouterr().err
