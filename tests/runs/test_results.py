"""The results of a run: what is measured and saved of the trained model, and told TensorBoard."""

import contextlib
import dataclasses
import json

import keras
import numpy as np
import pytest

import helpers
import kerasmlp
from helpers import assert_same, events, series
from kerasmlp.checkpoints import Checkpoints
from kerasmlp.data import Batches, Examples
from kerasmlp.models import compiled_mlp
from kerasmlp.runs import results
from kerasmlp.runs.fit_settings import FitSettings
from kerasmlp.runs.record import Record
from kerasmlp.runs.settings import Settings
from kerasmlp.runs.versions import versions
from kerasmlp.tensorboard import Events

IMAGES = np.random.default_rng(0).integers(256, size=(8, 6, 6, 1), dtype=np.uint8)
LABELS = np.arange(8) % 3
MEASURED = {"steps": 12, "seconds_per_epoch": 0.5, "loss": 1.5}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return compiled_mlp((6, 6, 1), 3, hidden_units=(4,), jit_compile=False)


@pytest.fixture
def task(model):
    test = Examples(IMAGES, LABELS, are_images=True)
    tested = {"shown": test, "test": test, "data": "/data/digits.npz", "validates_average": True}
    validated = {"validation": test.first(5).in_order(), "validation_examples": 5}
    return helpers.task(model, Batches(IMAGES, LABELS, 4), test, **tested, **validated)


@pytest.fixture
def record(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    with (
        contextlib.closing(Events(folder)) as written,
        contextlib.closing(Checkpoints(folder / "checkpoints", 3)) as files,
    ):
        yield Record(folder, written, files, None, 0)


def test_of_the_history_there_are_the_last_metrics_and_the_best_validation():
    history = {"loss": [3.0, 1.0, 2.0], "accuracy": [0.1, 0.3, 0.2]}
    last = {"loss": 2.0, "accuracy": 0.2}
    none = {"best_validation_accuracy": None, "best_validation_loss": None}
    assert results.of_history(history) == {**last, **none}
    history |= {"val_loss": [2.0, 0.5, 1.0], "val_accuracy": [0.4, 0.6, 0.5]}
    best = {"best_validation_accuracy": 0.6, "best_validation_loss": 0.5}
    assert results.of_history(history) == {**last, **best}


def test_the_best_weights_are_saved_and_the_model_keeps_its_last_ones(model, record):
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(7)
    last = model.get_weights()
    best = [weight + 1 for weight in last]
    results.save_best(model, best, record.folder)
    assert_same(model.get_weights(), last)
    saved = kerasmlp.load(record.folder / "checkpoints/best.keras")
    assert_same(saved.get_weights(), best)
    assert int(saved.optimizer.iterations) == 0
    assert int(model.optimizer.iterations) == 7


def test_the_metrics_of_a_run_say_how_it_was_and_how_good_it_is(task, record):
    settings = Settings(epochs=7, seed=3, loop="graph", strategy="mirrored", summaries=())
    metrics = results.finish(settings, task, record, MEASURED)
    x, y = task.test.x.astype(np.float32) / np.float32(255), task.test.y
    for name, count in (("test", 8), ("validation", 5)):
        loss, accuracy = task.model.evaluate(x[:count], y[:count], verbose=0)
        assert metrics[f"{name}_loss"] == pytest.approx(loss, rel=1e-6)
        assert metrics[f"{name}_accuracy"] == pytest.approx(accuracy)
    expected = {
        "dataset": "/data/digits.npz",
        "validation_examples": 5,
        "model": task.model.name,
        "parameters": 36 * 4 + 4 + 4 * 3 + 3,
        "epochs": 7,
        **MEASURED,
        "loop": "graph",
        "strategy": "mirrored",
        "jit_compile": False,
        "steps_per_execution": 1,
        "seed": 3,
        "inputs": "float32 [6, 6, 1]",
        "versions": versions(),
    }
    assert {name: metrics[name] for name in expected} == expected
    assert json.loads((record.folder / "metrics.json").read_text()) == metrics
    assert_same(kerasmlp.load(record.folder).get_weights(), task.model.get_weights())
    assert series(record.folder) == set()


def test_without_test_and_validation_there_are_no_such_metrics(task, record):
    alone = dataclasses.replace(task, test=None, validation=None, validation_examples=None)
    metrics = results.finish(FitSettings(summaries=("images",)), alone, record, MEASURED)
    assert not [name for name in metrics if name.startswith("test_")]
    assert [name for name in metrics if name.startswith("validation_")] == ["validation_examples"]
    assert metrics["strategy"] == "none"
    assert series(record.folder) == set()


IMAGES_SHOWN = {f"trained/{name}" for name in ("first_layer", "confusion", "mistakes")}
CURVES = {f"trained/pr/{number}/pr_curves" for number in range(3)}
ROW = {f"_hparams_/{name}" for name in ("experiment", "session_start_info", "session_end_info")}
SCALARS = {"trained/loss", "trained/seconds_per_epoch"}


@pytest.mark.parametrize(
    "summaries, tags",
    [
        (("images",), IMAGES_SHOWN),
        (("pr_curves",), CURVES),
        (("scalars",), SCALARS),
        (("hparams",), SCALARS | ROW),
        (("graphs", "histograms", "text"), set()),
    ],
)
def test_tensorboard_is_told_what_was_asked_for(summaries, tags, task, record):
    results._write_events(Settings(summaries=summaries), task, record, MEASURED)
    record.events.flush()
    shown = events(record.folder)
    assert set(shown) == {("train", tag) for tag in tags}
    steps = {step for (_, tag), found in shown.items() for step in found if tag not in ROW}
    assert steps == ({12} if tags else set())
    assert not (record.folder / "train/projector_config.pbtxt").exists()


@pytest.mark.parametrize("is_mlp", [True, False])
def test_the_projector_shows_what_the_mlp_makes_of_test_images(is_mlp, task, record):
    own = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    shown = task if is_mlp else dataclasses.replace(task, model=own)
    results._write_events(Settings(summaries=("projector",)), shown, record, MEASURED)
    record.events.flush()
    assert bool([*record.folder.glob("train/events.*")]) == is_mlp
    assert (record.folder / "train/projector_config.pbtxt").exists() == is_mlp


@pytest.mark.parametrize(
    "data, row",
    [
        ("/data/digits.npz", "seed 4, data digits.npz"),
        ("mnist5k", "seed 4, data mnist5k"),
        ("mnist", "seed 4"),
    ],
)
def test_the_row_of_a_run_has_what_was_chosen_and_its_data(data, row, task, record, monkeypatch):
    asked = []
    monkeypatch.setattr(results.hparams, "write", lambda *given: asked.append(given))
    settings = Settings(seed=4, loop="eager", summaries=("hparams",))
    results._write_events(settings, dataclasses.replace(task, data=data, test=None), record, MEASURED)
    ((_, sub_run, step, name, loop, chosen, metrics),) = asked
    assert (sub_run, step, name, loop) == ("train", 12, "mine", "eager")
    assert ", ".join(f"{setting} {value}" for setting, value in chosen.items()) == row
    assert metrics == MEASURED
