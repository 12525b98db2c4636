"""A whole run: with averaged weights, its validation is that of the trained model."""

import csv

import pytest

import kerasmlp
from helpers import assert_same, events
from kerasmlp.loops import LOOPS
from kerasmlp.train import train


@pytest.fixture
def averaged(npz, tmp_path):
    """Trains with the average of the weights; returns the run folder and its metrics."""

    def run(loop, **given):
        small = {"epochs": 2, "batch_size": 5, "validation_size": 15, "hidden_units": 8}
        small["jit_compile"] = loop == "fit"
        settings = kerasmlp.Settings(
            data=str(npz), loop=loop, ema_momentum=0.9, logdir=tmp_path, name=loop, **small, **given
        )
        return train(settings)

    return run


@pytest.mark.parametrize("loop", LOOPS)
def test_an_epoch_reports_the_validation_of_the_averaged_weights(loop, averaged):
    folder, metrics = averaged(loop)
    with (folder / "history.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["val_loss"]) == metrics["validation_loss"]
    assert float(last["val_accuracy"]) == metrics["validation_accuracy"]
    shown = events(folder)["validation", "loss/evaluation"]
    assert shown[10] == pytest.approx(metrics["validation_loss"], rel=1e-6)
    assert metrics["best_validation_loss"] == metrics["validation_loss"]


def test_the_best_model_has_averaged_weights(averaged):
    folder, _ = averaged("graph", summaries=())
    best = kerasmlp.load(folder / "checkpoints/best.keras")
    assert_same(best.get_weights(), kerasmlp.load(folder).get_weights())
    assert int(best.optimizer.iterations) == 0  # it has no optimizer's state: that is of other weights
