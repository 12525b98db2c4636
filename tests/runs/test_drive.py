"""How a run is driven: what its loop is given, what is measured, and what follows when it ends early."""

import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

import helpers
import kerasmlp
from helpers import assert_same, newest
from kerasmlp.callbacks import Interrupted
from kerasmlp.checkpoints import Checkpoint
from kerasmlp.data import Batches, Examples
from kerasmlp.distribute import Distribution, StopTogether
from kerasmlp.distribute.cluster import Cluster
from kerasmlp.loops import LOOPS
from kerasmlp.runs.drive import drive, memory_errors
from kerasmlp.runs.fit_settings import FitSettings
from kerasmlp.runs.record import opened
from kerasmlp.runs.settings import Settings

X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
Y = np.arange(8) % 3


@pytest.fixture
def driven(tmp_path):
    """Drives a run of two steps an epoch; returns what was measured, and its model and folder."""

    def driven(loop, kind=FitSettings, *, validates=False, given=(), first_step=0, **options):
        named = {"name": "mine", "summaries": (), **options.pop("settings", {})}
        settings = kind(logdir=tmp_path, **named)
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
        model.compile(keras.optimizers.SGD(0.25), "sparse_categorical_crossentropy", jit_compile=False)
        examples = Examples(X, Y, batch_size=8)
        validation = examples.in_order() if validates else None
        batches = Batches(X, Y, 4, are_images=False)
        task = helpers.task(model, batches, examples, validation=validation)
        with opened(settings, task, None, first_step) as record:
            shown = {} if options.pop("shows", False) else {"verbose": 0}
            return drive(settings, task, record, loop, given=given, **shown, **options), model

    return driven


def test_a_run_is_measured_and_its_best_weights_are_saved(driven, tmp_path):
    heard = Keeps()
    measured, model = driven(
        LOOPS["eager"], validates=True, given=[heard], settings={"epochs": 3, "checkpoint_every": "9s"}
    )
    losses = [logs["val_loss"] for logs, _ in heard.epochs]
    best = int(np.argmin(losses))
    assert measured["steps"] == 6
    assert measured["replicas"] == 1
    assert measured["loss"] == heard.epochs[-1][0]["loss"]
    assert measured["best_validation_loss"] == losses[best]
    assert measured["best_validation_accuracy"] is None
    assert measured["seconds_per_epoch"] > 0
    assert measured["seconds_to_first_step"] > 0
    saved = kerasmlp.load(tmp_path / "mine/checkpoints/best.keras")
    assert_same(saved.get_weights(), heard.epochs[best][1])
    assert_same(model.get_weights(), heard.epochs[-1][1])


class Keeps(keras.callbacks.Callback):
    """Keeps logs and weights of each epoch. Changes the weights before the last, which gets worse."""

    checkpointed = ()

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            self.model.set_weights([weight + 5 * (weight > 0) for weight in self.model.get_weights()])

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append((dict(logs), self.model.get_weights()))


def test_the_loop_is_given_the_task_and_the_callbacks(driven, terminal, capsys):
    asked = []

    def loop(*given):
        asked.append(given)
        return LOOPS["eager"](*given)

    mine = keras.callbacks.LambdaCallback()
    mine.checkpointed = ()
    named = {"first_step": 2, "validation_freq": 2, "settings": {"epochs": 2}, "shows": True}
    measured, model = driven(loop, given=[mine], **named)
    ((of_model, train, validation, epochs, heard, first, freq),) = asked
    assert of_model is model
    assert (train.steps_per_epoch, validation, epochs, first, freq) == (2, None, 2, 2, 2)
    assert mine in heard
    assert isinstance(heard[-1], Checkpoint)
    assert measured["steps"] == 4  # of which the loop has taken two
    assert "\x1b[?25l" in capsys.readouterr().err, "a live bar hides the cursor"


def test_a_loop_may_call_each_callback_and_hand_on_no_logs(driven):
    def loop(model, train, validation, epochs, heard, *rest):
        history = LOOPS["eager"](model, train, validation, epochs, heard, *rest)
        for callback in heard:
            callback.on_train_batch_end(1)
        return history

    measured, _ = driven(loop)
    assert measured["steps"] == 2


def test_a_signal_after_the_last_step_interrupts_the_run(driven, tmp_path, capfd):
    class Late(keras.callbacks.Callback):
        checkpointed = ()

        def on_train_end(self, logs=None):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match=r"^interrupted after the last step$") as caught:
        driven(LOOPS["eager"], given=[Late()])
    assert caught.value.status == 143
    assert newest(tmp_path / "mine").state["step"] == 2
    assert "stopping after this step" in capfd.readouterr().err


def test_workers_of_a_cluster_act_on_a_signal_only_together(driven, capfd):
    asked = []

    def loop(model, train, validation, epochs, heard, *rest):
        asked.append(heard)
        history = LOOPS["eager"](model, train, validation, epochs, heard[1:], *rest)
        os.kill(os.getpid(), signal.SIGTERM)  # the others have heard of none
        return history

    cluster = Cluster(None, (("worker", 0), ("worker", 1)), ("one:1", "two:1"), worker=0)
    measured, _ = driven(loop, workers=Distribution(None, cluster))
    assert measured["replicas"] == 1
    assert isinstance(asked[0][0], StopTogether)
    assert not any(isinstance(callback, StopTogether) for callback in asked[0][1:])
    with pytest.raises(Interrupted):
        driven(loop, workers=Distribution(), settings={"name": "alone"})
    assert not any(isinstance(callback, StopTogether) for callback in asked[1])


def test_a_loop_that_fails_lets_all_callbacks_end(driven):
    ended = []

    class Ends(keras.callbacks.Callback):
        checkpointed = ()

        def on_train_end(self, logs=None):
            ended.append(self)
            raise OSError("a file is closed already")

    def loop(*given):
        raise FloatingPointError("the loss is nan")

    given = [Ends(), Ends()]
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        driven(loop, given=given)
    assert ended == given


@pytest.mark.parametrize(
    "kind, settings, rate",
    [(FitSettings, {}, 0.25), (Settings, {}, 0.001), (Settings, {"model": "mine:make"}, 0.25)],
)
def test_a_training_that_diverged_is_told_with_the_highest_rate(kind, settings, rate, driven, capsys):
    def loop(*given):
        return {**LOOPS["eager"](*given), "loss": [9.0]}

    driven(loop, kind, settings={"epochs": 1, **settings})
    assert f"the loss of the last epoch is 9, with a learning rate of {rate};" in capsys.readouterr().err


def test_missing_memory_is_a_memory_error():
    with pytest.raises(MemoryError), memory_errors():
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
    with pytest.raises(tf.errors.InternalError), memory_errors():
        raise tf.errors.InternalError(None, None, "another one")
