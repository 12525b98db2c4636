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
    of_runs = {f"{run}/{sub_run}" for run in RUNS for sub_run in ("train", "validation", "test")}
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


def test_graphs_shows_the_layers(dashboards):
    nodes = {name.rpartition("/")[2] for name in dashboards.graph()}
    assert {name for name in nodes if name.startswith(("dense1", "dense2", "flatten", "Softmax"))}
    for layer in ("flatten", "dense1", "dense2", "Softmax"):
        assert any(name.startswith(layer) for name in nodes)


def test_images_shows_the_pictures(dashboards):
    shown = dashboards.images(runs="^fit")
    assert set(shown) == {
        ("fit/train", "images/samples"),
        ("fit/train", "images/first_layer"),
        *(("fit/validation", f"images/{name}") for name in ("confusion", "mistakes")),
        *(("fit/test", f"images/{name}") for name in ("first_layer", "confusion", "mistakes")),
    }
    assert all(width > 300 for width in shown.values())


def test_hparams_ranks_the_runs(dashboards, metrics):
    for row in dashboards.hparams(*RUNS, setting="hidden_units"):
        run = metrics[row["Trial ID"]]
        for column in ("test_accuracy", "test_loss", "best_validation_accuracy"):
            assert float(row[column]) == pytest.approx(run[column], rel=1e-3)
        assert row["hidden_units"] == ("20" if row["Trial ID"] == "narrow" else "100")


def test_pr_curves_shows_a_curve_for_each_class(dashboards):
    assert dashboards.pr_curves() == [f"pr/{number}/pr_curves" for number in range(10)]


def test_projector_shows_the_activations_of_the_test_images(dashboards):
    assert dashboards.projector() in ("1000 100", "1000 20")
