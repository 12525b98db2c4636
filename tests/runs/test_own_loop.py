"""A training loop of the user's: what it may return, and what is recorded of it."""

import contextlib
import csv

import keras
import numpy as np
import pytest

from helpers import events
from kerasmlp.checkpoints import Checkpoints
from kerasmlp.runs import own_loop
from kerasmlp.runs.fit_data import fit_data
from kerasmlp.runs.fit_settings import FitSettings
from kerasmlp.runs.record import Record
from kerasmlp.tensorboard import Events

X = np.zeros((8, 4), np.float32)
DATA = fit_data(FitSettings(batch_size=4), X, np.zeros(8), None, None, (X, np.zeros(8)))


@pytest.fixture
def model():
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse", jit_compile=False)
    return made


def history_of(metrics):
    history = keras.callbacks.History()
    history.history = metrics
    return history


class Loop:
    def __call__(self, *given):
        return None


def test_a_loop_has_the_name_of_its_function_or_class():
    assert own_loop.name(history_of) == "history_of"
    assert own_loop.name(Loop()) == "Loop"


@pytest.mark.parametrize(
    "returned, history, epochs",
    [
        (None, {}, []),
        ({}, {}, []),
        ({"loss": (1.0, 2.0)}, {"loss": [1.0, 2.0]}, [0, 1]),
        (
            {"loss": [1.0], "f1": np.array([3.0, 4.0, 5.0])},
            {"loss": [1.0], "f1": [3.0, 4.0, 5.0]},
            [0, 1, 2],
        ),
        (history_of({"loss": [1.0]}), {"loss": [1.0]}, [0]),
    ],
)
def test_what_a_loop_returns_is_the_history(returned, history, epochs, model):
    asked = []
    found = own_loop.train(lambda *given: asked.append(given) or returned, model, DATA, 3, ["heard"])
    assert asked == [(model, DATA.train, DATA.validation, 3, ["heard"])]
    assert (found.history, found.epoch) == (history, epochs)
    assert model.history is found
    assert found.model is model


@pytest.mark.parametrize("returned", [3, [1.0], {"loss": 1.0}, {"loss": [1.0], "f1": 2.0}])
def test_what_is_no_history_is_an_error(returned, model):
    with pytest.raises(
        ValueError, match=r"^loop: expected it to return a dict with a list for each metric"
    ):
        own_loop.train(lambda *_: returned, model, DATA, 1, [])


def test_each_epoch_is_recorded_with_the_metrics_that_it_has(model, tmp_path):
    metrics = {"loss": [4.0, 2.0, 3.0], "val_loss": [5.0, 1.0]}
    with (
        contextlib.closing(Events(tmp_path)) as written,
        contextlib.closing(Checkpoints(tmp_path / "checkpoints", 3)) as files,
    ):
        record = Record(tmp_path, written, files, None, 0)
        measured = own_loop.train_into(record, lambda *_: metrics, model, DATA, 5, [])
    best = {"best_validation_loss": 1.0, "best_validation_accuracy": None}
    assert measured == {"loss": 3.0, **best, "steps": 10}
    shown = events(tmp_path)
    assert shown["train", "loss/running"] == {2: 4.0, 4: 2.0, 6: 3.0}
    assert shown["validation", "loss/evaluation"] == {2: 5.0, 4: 1.0}
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert [row["loss"] for row in rows] == ["4.0", "2.0", "3.0"]
    assert [row["val_loss"] for row in rows[:2]] == ["5.0", "1.0"]
