import contextlib

import keras
import numpy as np
import pytest

from helpers import assert_same, cases, compiled, newest, run
from kerasmlp.callbacks import Interruption
from kerasmlp.checkpoints import Checkpoint, Checkpoints
from kerasmlp.data import Batches
from kerasmlp.loops import LOOPS, build
from kerasmlp.runs import run_folder
from small_models import average, dense


class Quality(keras.callbacks.Callback):
    """Gives each epoch a value to choose the best weights by."""

    def __init__(self, *values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["quality"] = self.values[epoch]


def train(loop, digits, folder, *values, optimizer, every=(1, "epoch")):
    """Train an epoch for each value of the monitored metric; return the model and its checkpoints."""
    model = compiled(dense, optimizer=optimizer)
    with contextlib.closing(Checkpoints(folder / run_folder.CHECKPOINTS, keep=9)) as files:
        checkpoint = Checkpoint(files, every, "quality", [], dict, Interruption())
        run(loop, model, digits, epochs=len(values), callbacks=[Quality(*values), checkpoint])
    return model, checkpoint


@pytest.mark.parametrize("loop", cases(LOOPS, default=("fit", "graph")))
def test_the_best_weights_are_the_averaged_weights(loop, digits, tmp_path):
    """At the end of a training, the weights of the model become the averages."""
    model, checkpoint = train(loop, digits, tmp_path, 1.0, optimizer=average)
    assert_same(checkpoint.best_weights, model.get_weights())
    saved = newest(tmp_path).arrays
    for number, weight in enumerate(checkpoint.best_weights):
        assert (saved[f"model/{number:04}"] != weight).any(), "the training continues with its weights"


@pytest.mark.parametrize("optimizer", [None, average], ids=["weights", "averaged weights"])
def test_the_best_weights_are_those_of_the_epoch_with_the_lowest_value(optimizer, digits, tmp_path):
    _, checkpoint = train("graph", digits, tmp_path, 3.0, 1.0, 2.0, optimizer=optimizer)
    best = compiled(dense, optimizer=optimizer)
    run("graph", best, digits, epochs=2)
    assert_same(checkpoint.best_weights, best.get_weights())


def test_a_run_without_a_history_before_the_checkpoint_does_not_go_on(digits, tmp_path):
    """Keras then adds one after it, of which the last epoch would be lost."""
    train("eager", digits, tmp_path, 1.0, optimizer=None)
    with contextlib.closing(Checkpoints(tmp_path / run_folder.CHECKPOINTS, keep=9)) as files:
        arguments = (files, (1, "epoch"), "quality", [], dict, Interruption(), files.newest())
        with pytest.raises(ValueError, match="expected a History before the Checkpoint"):
            run("eager", compiled(dense), digits, callbacks=[Checkpoint(*arguments)])


def test_a_run_that_goes_on_after_an_epoch_begins_the_next_with_empty_metrics(digits, tmp_path):
    counted = []

    class Counted(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            counted.append(float(self.model.metrics_variables[1]))

    for epochs in (1, 2):
        model, batches, history = compiled(dense), Batches(*digits, 7, seed=5), keras.callbacks.History()
        build(model, batches)
        with contextlib.closing(Checkpoints(tmp_path, keep=9)) as files:
            resumed = files.newest()
            checkpoint = Checkpoint(
                files, (1, "epoch"), "loss", [history], dict, Interruption(), resumed
            )
            first_step = resumed.state["step"] if resumed else 0
            LOOPS["eager"](model, batches, None, epochs, [history, checkpoint, Counted()], first_step)
    assert counted == [0, 7, 14, 21, 28, 35] * 2


@pytest.mark.parametrize(
    "every, steps",
    [
        ((0, "s"), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ((1000, "s"), [12]),
        ((4, "step"), [4, 8, 12]),
    ],
)
def test_checkpoints_are_written_when_they_are_due(every, steps, digits, tmp_path):
    train("eager", digits, tmp_path, 2.0, 1.0, optimizer=None, every=every)
    names = sorted(path.stem for path in (tmp_path / run_folder.CHECKPOINTS).iterdir())
    assert names == [f"step-{step:09}" for step in steps[-9:]]


class Files:
    """In the place of `Checkpoints`: notes what is asked of it."""

    def __init__(self):
        self.asked = []

    def save(self, step, contents):
        self.asked.append(("save", step))

    def wait(self):
        self.asked.append("wait")


def test_a_training_ends_when_its_last_checkpoint_is_written(digits):
    """So that what fails then is an error of the training."""
    files = Files()
    checkpoint = Checkpoint(files, (1000, "s"), "loss", [], dict, Interruption())
    run("eager", compiled(dense), digits, epochs=1, callbacks=[checkpoint])
    assert files.asked == [("save", 6), "wait"]


def test_other_callbacks_are_checked_before_the_training(capsys):
    Checkpoint(Files(), (1, "epoch"), "loss", [Quality(1.0)], dict, Interruption())
    assert capsys.readouterr().err.startswith("warning: callback Quality: if it changes")


class Spoil(keras.callbacks.Callback):
    """Makes a weight infinite in the second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            self.model.trainable_variables[-1].assign([np.inf, 0, 0])


def test_weights_that_are_not_finite_are_not_saved(digits, tmp_path):
    with contextlib.closing(Checkpoints(tmp_path / run_folder.CHECKPOINTS, keep=9)) as files:
        checkpoint = Checkpoint(files, (1, "epoch"), "quality", [], dict, Interruption())
        with pytest.raises(FloatingPointError, match="a weight is not finite after step 12; training"):
            run("eager", compiled(dense), digits, epochs=3, callbacks=[Spoil(), checkpoint])
    assert [path.stem for path in (tmp_path / run_folder.CHECKPOINTS).iterdir()] == ["step-000000006"]
