"""Which callbacks a run has, in which order, and what they are told."""

import dataclasses

import keras
import numpy as np
import pytest

import helpers
from kerasmlp import callbacks
from kerasmlp.checkpoints import Checkpoints
from kerasmlp.data import Augmentation, Batches, Examples
from kerasmlp.runs import run_callbacks as module, run_folder
from kerasmlp.runs.fit_settings import FitSettings
from kerasmlp.runs.record import Record
from kerasmlp.runs.run_callbacks import given_callbacks, run_callbacks
from kerasmlp.runs.settings import Settings
from kerasmlp.runs.versions import versions
from kerasmlp.tensorboard import Events

IMAGES = np.random.default_rng(0).integers(256, size=(8, 6, 6, 1), dtype=np.uint8)
LABELS = np.arange(8) % 3
EXAMPLES = Examples(IMAGES, LABELS, are_images=True)
AUGMENTED = Batches(IMAGES, LABELS, 4, augment=Augmentation(0.1, 1.0, 0.5))
ALWAYS = ["Stopwatch", "BatchLosses", "StopAtNonFinite", "CSVLogger", "History", "Checkpoint"]


@pytest.fixture
def model():
    made = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    made.compile("sgd", "mse", jit_compile=False)
    return made


@pytest.fixture
def task(model):
    return helpers.task(model, AUGMENTED, EXAMPLES)


@pytest.fixture
def heard(task, tmp_path):
    """Returns the callbacks of a run, in their order."""
    events, checkpoints = Events(tmp_path, 0), Checkpoints(tmp_path / "checkpoints", 3)
    record = Record(tmp_path, events, checkpoints, None, 0)

    def heard(given=(), verbose=0, settings=None, **of_task):
        settings = settings or FitSettings(summaries=())
        stopwatch, interruption = callbacks.Stopwatch(4), callbacks.Interruption()
        changed = dataclasses.replace(task, **of_task)
        shown = {} if verbose is None else {"verbose": verbose}
        return run_callbacks(settings, changed, record, stopwatch, interruption, given, **shown)

    heard.events = events
    yield heard
    events.close()
    checkpoints.close()


def names(found):
    return [type(callback).__name__ for callback in found]


def test_a_run_has_at_least_these_and_in_this_order(heard):
    assert names(heard()) == ALWAYS


@pytest.mark.parametrize(
    "asked, name, after",
    [
        ({"validates_average": True}, "EvaluateAverage", "BatchLosses"),
        ({"verbose": 1}, "ProgressLine", "BatchLosses"),
        ({"verbose": 2}, "ProgressLine", "BatchLosses"),
        ({"settings": FitSettings(summaries=(), verbose=True)}, "PrintBatchLoss", "BatchLosses"),
        ({"settings": FitSettings(summaries=(), profile=True)}, "Profile", "StopAtNonFinite"),
        ({"settings": FitSettings(summaries=("scalars",))}, "Scalars", "StopAtNonFinite"),
        ({"settings": FitSettings(summaries=("graphs",))}, "Graph", "StopAtNonFinite"),
        ({"settings": FitSettings(summaries=("pr_curves", "text"))}, "PRCurves", "StopAtNonFinite"),
        ({"given": [keras.callbacks.TerminateOnNaN()]}, "TerminateOnNaN", "StopAtNonFinite"),
    ],
)
def test_what_is_asked_for_comes_in_its_place(asked, name, after, heard):
    place = ALWAYS.index(after) + 1
    assert names(heard(**asked)) == [*ALWAYS[:place], name, *ALWAYS[place:]]


def test_weights_that_a_callback_swaps_are_not_averaged_twice(heard):
    swaps = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    expected = [*ALWAYS[:3], "SwapEMAWeights", *ALWAYS[3:]]
    assert names(heard([swaps], validates_average=True)) == expected


def test_the_dashboards_come_before_the_callbacks_of_the_user(heard):
    mine = keras.callbacks.TerminateOnNaN()
    found = names(heard([mine], 1, FitSettings(verbose=True, profile=True), validates_average=True))
    assert found == [
        *("Stopwatch", "BatchLosses", "EvaluateAverage", "ProgressLine", "PrintBatchLoss"),
        *("StopAtNonFinite", "Profile", "Scalars", "Graph", "Histograms", "Images", "PRCurves"),
        *("TerminateOnNaN", "CSVLogger", "History", "Checkpoint"),
    ]


@pytest.mark.parametrize(
    "verbose, of_task, data",
    [
        (1, {}, "data: digits.npz, 2 batches of 4"),
        (
            2,
            {"validation_examples": 15, "test": EXAMPLES.first(5)},
            "data: digits.npz, 2 batches of 4, 15 validation examples, 5 test examples",
        ),
    ],
)
def test_the_progress_says_what_is_trained(verbose, of_task, data, heard, capsys):
    (progress,) = (
        found for found in heard(verbose=verbose, **of_task) if isinstance(found, callbacks.ProgressLine)
    )
    progress.on_train_begin()
    progress.on_train_end()
    assert data in capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("verbose, is_live", [(None, True), (1, True), (2, False)])
def test_verbose_2_shows_nothing_live(verbose, is_live, heard, terminal, capsys):
    (progress,) = (found for found in heard(verbose=verbose) if type(found) is callbacks.ProgressLine)
    progress.on_train_begin()
    progress.on_train_end()
    assert ("\x1b[?25l" in capsys.readouterr().err) == is_live, "the cursor is hidden"


@pytest.mark.parametrize(
    "validates, lines",
    [
        (False, ["epoch,loss", "0,0.5", "1,0.25"]),
        (True, ["epoch,loss,val_loss", "0,0.5,NA", "1,0.25,0.75"]),
    ],
)
def test_the_history_has_a_column_of_the_validation_if_there_is_one(
    validates, lines, heard, model, tmp_path
):
    found = heard(validation=EXAMPLES.in_order() if validates else None)
    (logger,) = (each for each in found if isinstance(each, callbacks.CSVLogger))
    logger.set_model(model)
    logger.on_train_begin()
    logger.on_epoch_end(0, {"loss": 0.5})
    logger.on_epoch_end(1, {"loss": 0.25, **({"val_loss": 0.75} if validates else {})})
    logger.on_train_end()
    assert (tmp_path / run_folder.HISTORY).read_text().splitlines() == lines


@pytest.mark.parametrize("validates, best", [(False, 0), (True, 1)])
def test_the_best_weights_are_those_of_the_lowest_validation_loss_or_loss(validates, best, heard, model):
    checkpoint = heard(validation=EXAMPLES.in_order() if validates else None)[-1]
    checkpoint.set_model(model)
    checkpoint.set_params({"epochs": 9, "steps": 2})
    checkpoint._save_if_due = lambda *_: None
    for epoch, logs in enumerate(({"loss": 1.0, "val_loss": 3.0}, {"loss": 2.0, "val_loss": 2.0})):
        model.layers[-1].bias.assign([epoch] * 3)
        checkpoint.on_epoch_end(epoch, logs)
    assert checkpoint.best_weights[1].tolist() == [best] * 3


def test_a_checkpoint_has_the_data_the_versions_and_the_lengths_of_the_files(heard, tmp_path):
    checkpoint = heard(settings=FitSettings(checkpoint_every="7steps"))[-1]
    (tmp_path / run_folder.HISTORY).write_text("epoch,loss\n")
    heard.events.add("train", 7)
    state = checkpoint._extra_state()
    (written,) = tmp_path.glob("train/events.*")
    heard.events.close()  # which writes what is not in the file
    lengths = {run_folder.HISTORY: 11, f"train/{written.name}": written.stat().st_size}
    assert state.pop("files") == lengths
    assert state == {"data": "of the data", "versions": versions()}
    assert (checkpoint._number, checkpoint._unit) == (7, "step")


@pytest.mark.parametrize("batches", [AUGMENTED, dataclasses.replace(AUGMENTED, augment=None)])
def test_the_pictures_are_augmented_as_in_the_first_step(batches, heard, monkeypatch):
    asked = []
    monkeypatch.setattr(module.tensorboard, "all_dashboards", lambda *given: asked.append(given) or {})
    heard(batches=batches)
    ((_, sample, shown, inputs, _, _, augment),) = asked
    assert (sample, shown) == (EXAMPLES, None)
    assert inputs.shape.as_list() == [None, 6, 6, 1]
    if batches.augment is None:
        assert augment is None
    else:
        expected = np.asarray(batches.augmented(IMAGES, step=0))
        assert np.array_equal(augment(IMAGES), expected)


def test_the_settings_of_train_ask_for_callbacks(task, monkeypatch):
    assert given_callbacks(Settings(), task) == []
    mine = keras.callbacks.TerminateOnNaN()
    monkeypatch.setattr(module, "new_callbacks", {"mine:heard": [mine]}.get)
    asked = Settings(reduce_lr=2, early_stopping=3, callbacks="mine:heard")
    for validation, monitor in ((None, "loss"), (EXAMPLES.in_order(), "val_loss")):
        found = given_callbacks(asked, dataclasses.replace(task, validation=validation))
        reduce, stop, last = found
        assert isinstance(reduce, keras.callbacks.ReduceLROnPlateau)
        assert (reduce.monitor, reduce.patience, reduce.factor) == (monitor, 2, 0.1)
        assert isinstance(stop, keras.callbacks.EarlyStopping)
        assert (stop.monitor, stop.patience, stop.restore_best_weights) == (monitor, 3, True)
        assert last is mine
