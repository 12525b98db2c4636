"""TensorBoard in a real browser shows what the runs wrote."""

import json
from pathlib import Path

import pytest

import browser
from helpers import events

if browser.CHROMIUM is None:
    pytest.skip("there is no Chromium", allow_module_level=True)

pytestmark = pytest.mark.thorough

RUNS = ("fit", "narrow", "resumed")


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser") / "logs"
    browser.make_runs(folder, "mnist5k")
    return folder


@pytest.fixture(scope="module")
def dashboards(logdir):
    with browser.tensorboard(logdir) as address, browser.browser() as page:
        yield browser.Dashboards(page, address)


@pytest.fixture(scope="module")
def metrics(logdir):
    return {run: json.loads(Path(logdir, run, "metrics.json").read_text()) for run in RUNS}


def test_time_series_shows_the_three_losses_of_each_run(dashboards, logdir):
    shown = dashboards.time_series("loss/")
    assert set(shown) == {"loss/batch", "loss/running", "loss/evaluation"}
    compared = {"compared/fit", "compared/graph"}
    assert set(shown["loss/batch"]) == {f"{run}/train" for run in RUNS} | compared
    of_runs = {f"{run}/{sub_run}" for run in RUNS for sub_run in ("train", "validation")}
    assert set(shown["loss/evaluation"]) == of_runs
    read = events(logdir)
    for tag, rows in shown.items():
        for run, (value, step) in rows.items():
            assert step == max(read[run, tag])
            assert value == pytest.approx(float(read[run, tag][step]), rel=1e-3)


def test_a_resumed_run_and_a_comparison_show_no_step_twice(dashboards, logdir):
    points = dashboards.page.request
    for run, tag in events(logdir):
        if tag in ("loss/batch", "loss/running", "loss/evaluation", "accuracy/evaluation"):
            url = f"{dashboards.address}data/plugin/scalars/scalars?run={run}&tag={tag}"
            steps = [step for _, step, _ in points.get(url).json()]
            assert steps == sorted(set(steps)), (run, tag)
            if run == "resumed/train" and tag == "loss/running":
                assert steps == [72, 100, 144, 200, 216, 288, 300, 360]
            if run.startswith("compared") and tag == "loss/batch":
                assert steps == list(range(1, 81))


def test_graphs_tells_the_loops_apart(dashboards):
    by_hand = {"mlp_1", "compile_loss", "adam", "metrics"}
    shown = dashboards.graph("narrow/train")
    assert by_hand <= shown and "model.train_step" not in shown
    shown = dashboards.graph("fit/train")
    assert "model.train_step" in shown and not by_hand & shown


def test_images_shows_the_pictures(dashboards):
    shown = dashboards.images(runs="^fit")
    assert set(shown) == {
        ("fit/train", "pictures/samples"),
        ("fit/train", "pictures/first_layer"),
        *(("fit/validation", f"pictures/{name}") for name in ("confusion", "mistakes")),
        *(("fit/train", f"trained/{name}") for name in ("first_layer", "confusion", "mistakes")),
    }
    assert all(width > 300 for width in shown.values())


def test_hparams_ranks_the_runs(dashboards, metrics):
    for row in dashboards.hparams(*RUNS):
        run = metrics[row["Trial ID"]]
        assert row["loop"] == run["loop"]
        for column in ("test_accuracy", "seconds_per_epoch", "accuracy"):
            assert float(row[column]) == pytest.approx(run[column], rel=1e-3)
        narrow = row["Trial ID"] == "narrow"
        assert row["settings"].startswith("hidden_units 20, " if narrow else ("data", "learning_rate"))
    for row in dashboards.hparams("compared/fit", "compared/graph"):
        assert row["Trial ID"] == f"compared/{row['loop']}"
        assert float(row["seconds_per_epoch"]) > 0 and 0 < float(row["accuracy"]) < 1


def test_pr_curves_shows_a_curve_for_each_class(dashboards):
    curves = [f"{group}/{number}/pr_curves" for group in ("pr", "trained/pr") for number in range(10)]
    assert dashboards.pr_curves() == curves


def test_projector_shows_the_activations_of_the_test_images(dashboards):
    assert dashboards.projector() in ("1000 100", "1000 20")
