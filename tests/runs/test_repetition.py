import contextlib
import dataclasses
import io
import json
import signal

import numpy as np
import pytest

from helpers import events, save_npz
from kerasmlp import runs, seeds, train
from kerasmlp.callbacks.interruption import Interrupted
from kerasmlp.runs import repetition, run_folder
from kerasmlp.runs.settings import Settings
from kerasmlp.tensorboard import hparams

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
        ("test_loss", [0.0, 0.8], 0.0, 5.48248),
    ],
)
def test_the_interval_has_only_what_is_possible(name, values, low, high):
    """Student's t of 1 degree of freedom is 12.7062 at 97.5 %."""
    found = runs.statistics([{name: value} for value in values], name)
    assert found["mean"] == pytest.approx(np.mean(values))
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-5, rel=1e-5)


def test_what_is_measured_are_the_numbers_of_the_trained_model_and_the_time():
    metrics = {"loss": 1.0, "seconds_per_epoch": 0.5, "validation_loss": 2.0, "steps": 12}
    metrics |= {"test_loss": 3.0, "test_examples": 7, "test_accuracy": 0.5, "best_validation_loss": 1.5}
    expected = ["test_loss", "test_accuracy", "validation_loss", "seconds_per_epoch"]
    assert repetition.measured(metrics) == expected


def test_a_run_of_a_seed_has_the_settings_of_all(tmp_path):
    given = {"epochs": 7, "recipe": "quick", "loop": "graph", "summaries": ("text",), "logdir": "logs"}
    settings = repetition.Repetition(**given, seed=4, seeds=3, name="mine")
    expected = {**given, "logdir": tmp_path, "name": "seed5", "seed": 5}
    assert settings.of_run(tmp_path, 5) == Settings(**expected)
    (tmp_path / "seed5").mkdir()
    assert settings.of_run(tmp_path, 5) == Settings(**expected, resume=True)
    assert settings.all_seeds == range(4, 7)


class Called:
    """In the place of the processes: calls the functions here, and keeps what it was asked."""

    def __init__(self, number, start):
        self.asked.append((number, start))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.asked.append("ended")

    def run(self, calls):
        self.asked.append([*calls])
        return {name: call() for name, call in calls.items()}


@pytest.mark.parametrize(
    "given, ended, number, downloads",
    [
        ({"jobs": 2, "data": "x.npz"}, (), 2, False),
        ({"jobs": 9, "data": "mnist5k"}, (), 3, False),
        ({"jobs": 9, "data": "auto"}, (5,), 2, True),
        ({"jobs": 2, "data": "mnist"}, (), 2, True),
        ({"jobs": 2, "data": "mnist", "model": "mine:make"}, (), 2, False),
        ({"jobs": 2, "data": "x.npz"}, (4, 5, 6), 1, False),
    ],
)
def test_no_more_processes_than_runs_are_left(given, ended, number, downloads, tmp_path, monkeypatch):
    def run(settings, folder, seed):
        return {"epochs": 5, "seed": seed, "how": "trained"}

    asked, downloaded, finished = [], [], []
    monkeypatch.setattr(Called, "asked", asked, raising=False)
    monkeypatch.setattr(repetition, "Workers", Called)
    monkeypatch.setattr(repetition, "_download", downloaded.append)
    monkeypatch.setattr(repetition, "_run", run)
    monkeypatch.setattr(repetition, "_finish", lambda *given: finished.append(given) or {"seeds": 3})
    for seed in ended:
        (tmp_path / f"mine/seed{seed}").mkdir(parents=True)
        metrics = {"epochs": 5, "seed": seed, "how": "read"}
        (tmp_path / f"mine/seed{seed}/metrics.json").write_text(json.dumps(metrics))
    settings = repetition.Repetition(seed=4, seeds=3, logdir=tmp_path, name="mine", **given)
    if ended:
        run_folder.write_json(tmp_path / "mine" / run_folder.SETTINGS, settings)
        settings = dataclasses.replace(settings, resume=True)
    folder, result = runs.repeat(settings, contextlib.nullcontext)
    assert (folder, result) == (tmp_path / "mine", {"seeds": 3})
    left = [f"seed {seed}" for seed in (4, 5, 6) if seed not in ended]
    download = [["data"]] if downloads else []
    assert asked == [(number, contextlib.nullcontext), *download, left, ["results"], "ended"]
    assert downloaded == [given["data"]] * downloads
    ((_, _, all_runs),) = finished
    assert [metrics["seed"] for metrics in all_runs] == [4, 5, 6]
    how = ["read" if seed in ended else "trained" for seed in (4, 5, 6)]
    assert [metrics["how"] for metrics in all_runs] == how
    assert not repetition.Repetition.read(folder / run_folder.SETTINGS).resume


def test_without_a_name_the_folder_is_named_by_loop_and_number(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(repetition, "_run", lambda settings, folder, seed: {"seed": seed})
    monkeypatch.setattr(repetition, "_finish", lambda settings, folder, runs: runs)
    started = []
    settings = repetition.Repetition(seeds=2, seed=8, loop="eager", logdir=tmp_path)
    start = lambda: contextlib.nullcontext(started.append(True))  # noqa: E731
    folder, result = runs.repeat(settings, start)
    assert folder.name.endswith("-eager-2seeds")
    assert result == [{"seed": 8}, {"seed": 9}]
    assert started == [True]
    assert capsys.readouterr().err == "seed 8, 1 of 2\nseed 9, 2 of 2\n"


RESULT = {"seeds": [4, 5], "test_accuracy": dict.fromkeys(["mean", "standard_deviation"], 0.5)}
RESULT["test_accuracy"] |= {"low": 0.25, "high": 0.75}
RESULT |= {"seconds_per_epoch": {"mean": 2.0}}


@pytest.mark.parametrize("has_accuracy", [True, False])
def test_the_row_of_all_seeds_has_their_means(has_accuracy, tmp_path, monkeypatch):
    result = {name: value for name, value in RESULT.items() if has_accuracy or name != "test_accuracy"}
    metrics = {"steps": 12, "seconds_per_epoch": 1.0, **({"test_accuracy": 0.5} if has_accuracy else {})}
    rows = []
    monkeypatch.setattr(hparams, "write", lambda *given: rows.append(given))
    settings = repetition.Repetition(seed=4, seeds=2, epochs=9, summaries=("hparams",), loop="graph")
    (tmp_path / "mine").mkdir()
    for _ in range(2):  # before a resume, and after it
        repetition._write_hparams(settings, tmp_path / "mine", metrics, result)
    assert len([*tmp_path.glob("mine/events.*")]) == 1
    means = {"seconds_per_epoch": 2.0}
    if has_accuracy:
        spread = {"standard_deviation": 0.5, "low": 0.25, "high": 0.75}
        means |= {"test_accuracy": 0.5, **{f"test_accuracy_{each}": spread[each] for each in spread}}
    shown = events(tmp_path / "mine")
    assert shown == {(".", f"trained/{name}"): {12: np.float32(mean)} for name, mean in means.items()}
    _, sub_run, step, name, loop, chosen, of_row = rows[-1]
    assert (sub_run, step, name, loop) == (".", 12, "mine", "graph")
    assert chosen == {"epochs": 9, "seeds": "4 to 5"}
    assert of_row == means


def test_without_the_dashboard_there_is_no_row(tmp_path):
    settings = repetition.Repetition(summaries=("scalars",))
    repetition._write_hparams(settings, tmp_path, {"steps": 12, "seconds_per_epoch": 1.0}, RESULT)
    assert [*tmp_path.iterdir()] == []


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
