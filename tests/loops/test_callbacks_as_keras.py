"""Callbacks may do in every loop what they may do in Keras' own `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from helpers import assert_same, cases
from keras_models import batches, dense, made, trained, trained_by_keras
from kerasmlp.loops import LOOPS
from test_as_keras import AS_KERAS, PROGRAM, assert_as, by_keras

WITHOUT_PROGRAM = cases(("fit", "graph", "eager", "fit, program"), default=("eager",))
NAMES = cases(
    ("fit", "graph", "eager", "fit, program", "graph, program"),
    default=("fit", "eager"),
)


@pytest.fixture(params=NAMES)
def case(request):
    if request.param == "eager":
        return "eager", {}, {"run_eagerly": True}
    return AS_KERAS[request.param]


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise InterruptedError


@pytest.mark.parametrize("case", WITHOUT_PROGRAM, indirect=True)
def test_backup_and_restore_resumes_and_leaves_nothing_behind(case, tmp_path):
    loop, compilation, of_keras = case
    train, results = batches(), []
    for name, train_by, options in (
        ("keras", trained_by_keras, of_keras),
        ("ours", lambda *given: trained(LOOPS[loop], *given), compilation),
    ):
        with pytest.raises(InterruptedError):
            backup = keras.callbacks.BackupAndRestore(tmp_path / name)
            train_by(made(dense, **options), train, [backup, Interrupt()], 4)
        model = made(dense, **options)
        backup = keras.callbacks.BackupAndRestore(tmp_path / name)
        results.append(train_by(model, train, [backup], 4))
        assert int(model.optimizer.iterations) == 12
    assert_as(*results)
    assert len(results[1][0]["loss"]) == 2
    assert len(trained(LOOPS[loop], model, train, epochs=1)[0]["loss"]) == 1, "Keras would train nothing"


class Freeze(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.model.layers[0].trainable = False


def test_a_layer_that_is_frozen_as_the_training_begins_stays_as_it_is(case):
    loop, compilation, of_keras = case
    model = made(dense, **compilation)
    before = model.layers[0].get_weights()
    received = trained(LOOPS[loop], model, batches(), [Freeze()])
    assert_as(trained_by_keras(made(dense, **of_keras), batches(), [Freeze()]), received)
    assert_same(model.layers[0].get_weights(), before)


class Unfreeze(keras.callbacks.Callback):
    """Trains the first layer from the second epoch on."""

    def __init__(self, by, hook="epoch_begin"):
        super().__init__()
        self.by = by
        setattr(self, f"on_{hook}", lambda number, logs=None: self.change(number))

    def on_train_begin(self, logs=None):
        self.model.layers[0].trainable = False
        self.before, self.steps = self.model.layers[0].get_weights(), 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1

    def change(self, number):
        if self.steps and not self.model.layers[0].trainable:
            assert_same(self.model.layers[0].get_weights(), self.before)
            self.model.layers[0].trainable = True
            self.by(self.model)


def compile_anew(model):
    options = {"jit_compile": model.jit_compile, "run_eagerly": model.run_eagerly}
    model.compile(keras.optimizers.Adam(0.02), "mse", weighted_metrics=["mae"], **options)


def compile_and_make(model):
    """What Keras' `fit` needs; and as many steps an execution as before."""
    steps = model.steps_per_execution
    compile_anew(model)
    model.steps_per_execution = steps
    model.make_train_function()


@pytest.mark.parametrize("hook", cases(("epoch_begin", "train_batch_begin"), default=("epoch_begin",)))
def test_a_callback_may_compile_the_model_anew(hook, case):
    loop, compilation, of_keras = case
    expected = trained_by_keras(
        made(dense, **of_keras), batches(), [Unfreeze(compile_and_make, hook)], validation_data=None
    )
    model = made(dense, **compilation)
    unfreeze = Unfreeze(compile_anew, hook)
    assert_as(expected, trained(LOOPS[loop], model, batches(), [unfreeze]))
    assert not np.array_equal(model.layers[0].get_weights()[0], unfreeze.before[0])


class OtherLoss(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.model.compute_loss = lambda x, y, y_pred, *rest, **options: tf.reduce_mean(y_pred**2)
            self.model.make_train_function(force=True)


def test_a_callback_may_ask_for_a_new_train_function(case):
    loop, compilation, of_keras = case
    received = trained(LOOPS[loop], made(dense, **compilation), batches(), [OtherLoss()])
    assert_as(trained_by_keras(made(dense, **of_keras), batches(), [OtherLoss()]), received)
    unchanged = by_keras("dense")[0]["loss"]
    assert received[0]["loss"][0] == pytest.approx(unchanged[0], rel=1e-5)
    assert received[0]["loss"][1] != pytest.approx(unchanged[1], rel=1e-2)


class Writing(layers.Layer):
    def call(self, x):
        tf.summary.scalar("mean", tf.reduce_mean(x))
        return x


def writing():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3), Writing(), layers.Dense(2)])


def summaries(folder):
    """What `Writing` has written, in order. A step may have several: Keras goes on after an epoch."""
    return [
        (path.parent.name, event.step, tf.make_ndarray(value.tensor).item())
        for path in sorted(folder.rglob("events.*"))
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
        if value.tag.endswith("/mean")
    ]


def test_layers_may_write_summaries(case, tmp_path, capsys):
    loop, compilation, of_keras = case
    train, boards = batches(), []
    for name in ("keras", "ours"):
        boards.append(keras.callbacks.TensorBoard(tmp_path / name, update_freq=1, write_graph=False))
    by_keras = made(writing, **{**of_keras, "jit_compile": False})  # XLA cannot write
    expected = trained_by_keras(by_keras, train, boards[:1], validation_data=train.epoch(0))
    model = made(writing, **compilation)
    assert_as(expected, trained(LOOPS[loop], model, train, boards[1:], validation=train.epoch(0)))
    written, by_keras = summaries(tmp_path / "ours"), summaries(tmp_path / "keras")
    if loop == "eager":  # it validates in a graph, in which the step is that of the trace
        written, by_keras = ([(*of[::2],) for of in found] for found in (written, by_keras))
    assert written == by_keras
    assert {"train", "validation"} == {sub_run for sub_run, *_ in written}
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == (compilation == PROGRAM)
    assert all("WriteSummary (No registered 'WriteSummary' OpKernel" in note for note in notes)


@pytest.mark.parametrize("frequency", cases((2, [1, 3], (3,)), default=([1, 3],)))
@pytest.mark.parametrize("loop", cases(LOOPS, default=("graph",)))
def test_validation_is_as_frequent_as_asked_for(loop, frequency):
    train, given = batches(), list(frequency) if isinstance(frequency, tuple) else frequency
    options = {"validation_data": train.epoch(0), "validation_freq": given}
    expected = trained_by_keras(made(dense), train, epochs=3, **options)
    model = made(dense)
    received = trained(
        LOOPS[loop], model, train, epochs=3, validation=train.epoch(0), validation_freq=frequency
    )
    assert_as(expected, received)
    assert len(received[0]["val_loss"]) == (1 if frequency in (2, (3,)) else 2)


@pytest.mark.parametrize("frequency, error", [(0, ValueError), ("1", TypeError), (1.5, TypeError)])
def test_a_frequency_that_is_none_is_refused(frequency, error):
    with pytest.raises(error, match=r"validation_freq: expected .*; received " + repr(frequency)):
        LOOPS["fit"](made(dense), batches(), None, 1, validation_freq=frequency)


@pytest.mark.parametrize("loop", cases(LOOPS, default=("eager",)))
def test_callbacks_may_be_none_or_one(loop):
    LOOPS[loop](made(dense), batches(), None, 1, None)
    heard = []
    one = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: heard.append(epoch))
    LOOPS[loop](made(dense), batches(), None, 2, one)
    assert heard == [0, 1]
