import functools
import http.server
import json
import threading

import keras
import pytest
from keras import callbacks as of_keras

from helpers import cases
from kerasmlp.checkpoints import keras_callbacks
from kerasmlp.loops import LOOPS
from resuming import EPOCHS, STEPS, outcome, train
from small_models import average

LAST = EPOCHS * STEPS


def schedulers(folder):
    return [
        of_keras.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        of_keras.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=1.0, cooldown=1),
    ]


def savers(folder):
    best = {"save_best_only": True, "save_weights_only": True}
    return [
        of_keras.ModelCheckpoint(
            folder / "{epoch}-{batch}.weights.h5", save_freq=5, save_weights_only=True
        ),
        of_keras.ModelCheckpoint(folder / "step.weights.h5", "loss", save_freq=STEPS, **best),
        of_keras.ModelCheckpoint(folder / "best-{epoch}.weights.h5", "val_accuracy", **best),
    ]


def loggers(folder):
    return [
        of_keras.CSVLogger(folder / "new.csv"),
        of_keras.CSVLogger(folder / "appended.csv", separator=";", append=True),
        of_keras.TensorBoard(folder, histogram_freq=1, update_freq=1),
        of_keras.ProgbarLogger(),
        of_keras.TerminateOnNaN(),
        of_keras.LambdaCallback(checkpointed=()),
    ]


def stopping(folder):
    return [
        of_keras.EarlyStopping("loss", mode="max", patience=1, min_delta=0.1, restore_best_weights=True)
    ]


def swapping(folder):
    path = folder / "average-{epoch}.weights.h5"
    return [
        of_keras.SwapEMAWeights(swap_on_epoch=True),
        of_keras.ModelCheckpoint(path, save_weights_only=True),
    ]


def swapping_to_validate(folder):
    return [of_keras.SwapEMAWeights(), *schedulers(folder)]


LISTS = {
    "schedulers": (schedulers, {}),
    "savers": (savers, {}),
    "loggers": (loggers, {}),
    "stopping": (stopping, {}),
    "swapping": (swapping, {"optimizer": average}),
    "swapping to validate": (swapping_to_validate, {"optimizer": average}),
}


@pytest.fixture(scope="module")
def uninterrupted(digits, tmp_path_factory):
    """Returns what a list of callbacks leads to with a loop in a run that is not broken off."""

    @functools.cache
    def call(name, loop):
        callbacks, options = LISTS[name]
        return outcome(loop, digits, tmp_path_factory.mktemp("whole") / "run", callbacks, **options)

    return call


def check_resumed(name, loop, step, crash, uninterrupted, digits, folder):
    callbacks, options = LISTS[name]
    received = outcome(loop, digits, folder, callbacks, step=step, crash=crash, **options)
    expected = uninterrupted(name, loop)
    for part, value in expected.items():
        assert received[part] == value, (part, step)


@pytest.mark.parametrize("crash", [False, True], ids=["signal", "crash"])
@pytest.mark.parametrize("name", LISTS)
def test_a_run_goes_on_with_keras_callbacks_as_if_not_broken_off(
    name, crash, uninterrupted, digits, tmp_path
):
    """At any step. After a crash it goes on from an earlier checkpoint."""
    last = 2 * STEPS if name == "stopping" else LAST
    for step in range(4 if crash else 1, last + 1):
        check_resumed(name, "eager", step, crash, uninterrupted, digits, tmp_path / str(step))


@pytest.mark.parametrize("loop", ["fit", "graph"])
@pytest.mark.parametrize("name", LISTS)
def test_it_does_so_with_the_other_loops(name, loop, uninterrupted, digits, tmp_path):
    for step, crash in ((STEPS, False), (STEPS + 2, False), (STEPS + 3, True)):
        check_resumed(name, loop, step, crash, uninterrupted, digits, tmp_path / str(step))
