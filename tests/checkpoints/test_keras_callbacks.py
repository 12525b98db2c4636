import functools
import http.server
import json
import threading

import keras
import pytest
from keras import callbacks as of_keras

from helpers import assert_same, cases
from kerasmlp.callbacks import BatchLosses, StopAtNonFinite
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


def only_in_the_first_epoch(epoch, logs):
    logs.update({"first": 1.0} if epoch == 0 else {})


def loggers(folder):
    return [
        of_keras.LambdaCallback(checkpointed=(), on_epoch_end=only_in_the_first_epoch),
        of_keras.CSVLogger(folder / "new.csv"),
        of_keras.CSVLogger(folder / "appended.csv", separator=";", append=True),
        of_keras.TensorBoard(folder, histogram_freq=1, update_freq=1),
        of_keras.ProgbarLogger(),
        of_keras.TerminateOnNaN(),
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


def many(folder):
    return [*schedulers(folder), *savers(folder), *loggers(folder)]


LISTS = {
    "many": (many, {}),
    "stopping": (stopping, {}),
    "swapping": (swapping, {"optimizer": average}),
    "swapping to validate": (swapping_to_validate, {"optimizer": average}),
}
NAMES = [name for name in LISTS if name != "stopping"]
BREAKS = {
    f"{'crash' if crash else 'signal'} {step}": (step, crash)
    for crash in (False, True)
    for step in range(4 if crash else 1, LAST + 1)
}
"""Where a run is broken off. After a crash it goes on from an earlier checkpoint."""


@pytest.fixture(scope="module")
def uninterrupted(digits, tmp_path_factory):
    """Returns what a list of callbacks leads to with a loop in a run that is not broken off."""

    @functools.cache
    def call(name, loop):
        callbacks, options = LISTS[name]
        return outcome(loop, digits, tmp_path_factory.mktemp("whole") / "run", callbacks, **options)

    return call


def check(name, loop, broken_off, uninterrupted, digits, folder):
    callbacks, options = LISTS[name]
    step, crash = BREAKS[broken_off]
    received = outcome(loop, digits, folder / "run", callbacks, step=step, crash=crash, **options)
    for part, expected in uninterrupted(name, loop).items():
        assert received[part] == expected, part


@pytest.mark.thorough
@pytest.mark.parametrize("broken_off", BREAKS)
@pytest.mark.parametrize("name", NAMES)
def test_a_run_goes_on_with_keras_callbacks_as_if_not_broken_off(
    name, broken_off, uninterrupted, digits, tmp_path
):
    check(name, "eager", broken_off, uninterrupted, digits, tmp_path)


@pytest.mark.parametrize("broken_off", cases(BREAKS, default=("signal 6",)))
@pytest.mark.parametrize("name", cases(NAMES, default=("many",)))
@pytest.mark.parametrize("loop", cases(("fit", "graph"), default=("fit",)))
def test_it_does_so_with_the_other_loops(loop, name, broken_off, uninterrupted, digits, tmp_path):
    check(name, loop, broken_off, uninterrupted, digits, tmp_path)


@pytest.mark.parametrize("broken_off", cases(("signal 2", "crash 8"), default=("crash 8",)))
@pytest.mark.parametrize("loop", cases(LOOPS, default=("eager",)))
def test_early_stopping_comes_at_the_same_epoch(loop, broken_off, uninterrupted, digits, tmp_path):
    assert len(uninterrupted("stopping", loop)["history"]["loss"]) == 2 < EPOCHS
    check("stopping", loop, broken_off, uninterrupted, digits, tmp_path)


def test_a_run_that_was_stopped_early_stays_stopped(uninterrupted, digits, tmp_path):
    """The signal comes as it stops: the best weights have not been put back yet."""
    check("stopping", "eager", "signal 8", uninterrupted, digits, tmp_path)


class StopAtSix(of_keras.Callback):
    checkpointed = ()

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training |= int(self.model.optimizer.iterations) == 6


def test_a_run_that_a_callback_stops_within_an_epoch_ends_that_epoch(digits, tmp_path):
    whole = outcome("eager", digits, tmp_path / "whole", lambda _: [StopAtSix()])
    broken = outcome("eager", digits, tmp_path / "broken", lambda _: [StopAtSix()], step=6)
    assert broken == whole
    assert len(whole["history"]["loss"]) == 2


def stateful():
    """A model of which each batch goes on from the states that the one before has left."""
    keras.utils.set_random_seed(3)
    parts = [
        keras.Input(batch_shape=(10, 6, 6, 1)),
        keras.layers.Reshape((2, 18)),
        keras.layers.Bidirectional(keras.layers.SimpleRNN(3, stateful=True)),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(3, "softmax"),
    ]
    model = keras.Sequential(parts)
    loss = "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
    return model


@pytest.mark.parametrize("step", cases([6, 8], default=[]))
@pytest.mark.parametrize("loop", cases(LOOPS, default=("eager",)))
def test_the_states_of_recurrent_layers_go_on(loop, step, digits, tmp_path):
    given = {"callbacks": lambda folder: [], "make": stateful, "epochs": 2 if step < 8 else EPOCHS}
    whole = outcome(loop, digits, tmp_path / "whole", **given)
    broken = outcome(loop, digits, tmp_path / "broken", **given, step=step)
    assert broken == whole


@pytest.fixture
def posted():
    """The address of a server, and the epochs it has been sent."""
    epochs = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            epochs.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("localhost", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://localhost:{server.server_port}", epochs
        server.shutdown()


@pytest.mark.thorough
def test_each_epoch_is_sent_once(posted, digits, tmp_path):
    address, epochs = posted
    monitor = functools.partial(of_keras.RemoteMonitor, address, send_as_json=True)
    history = outcome("eager", digits, tmp_path / "run", lambda folder: [monitor()], step=6)["history"]
    assert [epoch["epoch"] for epoch in epochs] == [0, 1, 2]
    assert [epoch["val_loss"] for epoch in epochs] == history["val_loss"]


class FirstIsBest(of_keras.Callback):
    checkpointed = ()

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = float(epoch)
        if epoch == 0:
            self.weights = self.model.get_weights()


def test_the_best_weights_are_the_averages_that_were_swapped_in(digits, tmp_path):
    first = FirstIsBest()
    callbacks = [of_keras.SwapEMAWeights(swap_on_epoch=True), first]
    *_, heard = train("eager", digits, tmp_path, lambda _: callbacks, epochs=2, optimizer=average)
    assert_same(heard[-1].best_weights, first.weights)


def test_more_epochs_after_the_weights_were_replaced_are_refused(digits, tmp_path):
    options = {"callbacks": lambda _: [of_keras.SwapEMAWeights(True)], "optimizer": average}
    train("eager", digits, tmp_path, epochs=1, **options)
    with pytest.raises(
        ValueError, match="expected 1 epochs, as when the run ended; received 2; SwapEMA"
    ):
        train("eager", digits, tmp_path, epochs=2, **options)
    train("eager", digits, tmp_path, epochs=1, **options)


def test_every_callback_of_keras_is_known():
    public = {one for one in vars(of_keras).values() if isinstance(one, type)}
    holds_functions_of_the_user = of_keras.LambdaCallback  # they may change anything: a warning names it
    known = {*keras_callbacks.ATTRIBUTES, *keras_callbacks.REFUSED, holds_functions_of_the_user}
    assert public == known, "a callback is new in Keras, or gone: name what it keeps, or refuse it"


def test_keras_has_the_attributes_that_a_checkpoint_holds(digits, tmp_path):
    def all_of_them(folder):
        made = [*many(folder), *stopping(folder), of_keras.SwapEMAWeights(), of_keras.RemoteMonitor()]
        assert {type(one) for one in made} >= {*keras_callbacks.ATTRIBUTES} - {
            of_keras.Callback,
            of_keras.History,
        }
        return [one for one in made if not isinstance(one, of_keras.RemoteMonitor)]

    *_, heard = train("eager", digits, tmp_path, all_of_them, epochs=1, optimizer=average)
    for callback in heard:
        for name in keras_callbacks.attributes(callback):
            keras_callbacks.value(callback, name)


@pytest.mark.parametrize(
    "callback, message",
    [
        (of_keras.BackupAndRestore("folder"), "no callback BackupAndRestore: it restores another state"),
        (of_keras.CallbackList(), "no callback CallbackList: its callbacks cannot be seen"),
        (object.__new__(of_keras.OrbaxCheckpoint), "no callback OrbaxCheckpoint: .*ModelCheckpoint$"),
    ],
)
def test_what_cannot_be_resumed_is_refused(callback, message):
    with pytest.raises(ValueError, match=message):
        keras_callbacks.check_known([of_keras.History(), callback])


class Mine(of_keras.Callback):
    pass


class Counting(of_keras.EarlyStopping):
    checkpointed = ("count",)


class CountingMore(Counting):
    checkpointed = ("more", "wait")


def test_a_callback_that_is_not_known_is_named_once(capsys):
    keras_callbacks.check_known(
        [Mine(), Mine(), Counting(), StopAtNonFinite(BatchLosses()), of_keras.LambdaCallback()]
    )
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": if")[0] for line in lines] == [
        "warning: callback Mine",
        "warning: callback LambdaCallback",
    ]
    assert 'checkpointed = ("count",)' in lines[0]
    stateless = Mine()
    stateless.checkpointed = ()
    keras_callbacks.check_known([stateless, of_keras.LambdaCallback(checkpointed=())])
    assert capsys.readouterr().err == ""


def test_a_subclass_adds_to_what_its_bases_keep():
    stopping = keras_callbacks.ATTRIBUTES[of_keras.EarlyStopping]
    assert keras_callbacks.attributes(CountingMore()) == [*stopping, "more", "count"]
    one = Mine()
    one.checkpointed = ("number",)
    assert keras_callbacks.attributes(one) == ["number"]


def test_a_mistake_in_checkpointed_is_named():
    one = Mine()
    one.checkpointed = "count"
    with pytest.raises(TypeError, match=r"Mine\.checkpointed: expected a tuple .* received 'count'"):
        keras_callbacks.attributes(one)
    with pytest.raises(TypeError, match=r"Mine: expected an attribute 'count', .* has none; set it in"):
        keras_callbacks.value(one, "count")
