"""`kerasmlp.fit`: any model, any data that Keras' `fit` takes, recorded and resumed."""

import csv
import functools
import json
import os
import re
import signal
import types

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

import fit_models
import kerasmlp
from helpers import assert_same, cases, events, finished, pairs, series, state
from kerasmlp.callbacks import Interrupted
from kerasmlp.data import Parts
from kerasmlp.loops import LOOPS
from kerasmlp.runs import fitting
from kerasmlp.runs.fit_data import fit_data
from kerasmlp.runs.fit_settings import FitSettings
from kerasmlp.runs.task import SAMPLE, SHOWN

X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
Y = np.arange(20) % 3


def small(**compilation):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((4,)), keras.layers.Dense(3, activation="softmax")]
    model = keras.Sequential(layers)
    model.compile(
        "adam",
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        **{"jit_compile": False, **compilation},
    )
    return model


@functools.cache
def by_keras(kind):
    """What Keras' own fit makes of a model in two epochs without shuffling."""
    model, arguments = fit_models.compiled(kind)
    history = model.fit(**arguments, shuffle=False, epochs=2, verbose=0)
    return history, state(model)


QUICK = [("dataset", "graph")]


@pytest.mark.parametrize("kind, loop", pairs(fit_models.MODELS, LOOPS, default=QUICK))
def test_without_shuffling_all_loops_end_where_keras_fit_ends(kind, loop):
    expected, theirs = by_keras(kind)
    ours, arguments = fit_models.compiled(kind)
    received = kerasmlp.fit(ours, **arguments, shuffle=False, epochs=2, verbose=0, loop=loop)
    rounds = loop == "eager" and kind in ("cnn", "text", "two")  # some operations, without a graph
    for one, other in zip(state(ours), theirs, strict=True):
        assert np.allclose(one, other, 1e-4, 1e-6) if rounds else np.array_equal(one, other)
    if not rounds:
        assert received.history == expected.history
    assert received.epoch == expected.epoch


@pytest.mark.parametrize("verbose, epochs, live", [(0, 0, False), (1, 2, True), (2, 2, False)])
def test_verbose_2_has_a_line_for_each_epoch_and_nothing_live(verbose, epochs, live, terminal, capsys):
    kerasmlp.fit(small(), X, Y, epochs=2, verbose=verbose, loop="eager")
    error = capsys.readouterr().err
    assert len(re.findall(r"epoch \d/2  .* s\n", error)) == epochs
    assert ("\x1b[?25l" in error) is live, "the cursor is hidden"


@pytest.mark.parametrize(
    "arguments",
    [
        {"validation_split": 0.3, "validation_batch_size": 2},
        {"class_weight": {0: 2.0, 1: 0.5}},
        {"sample_weight": np.linspace(0, 1, 20)},
        {"steps_per_epoch": 2, "batch_size": 5},
        {"validation_data": (X, Y), "validation_steps": 1, "validation_freq": 2, "epochs": 4},
        {"initial_epoch": 2, "epochs": 4},
        {"validation_data": (X, Y, np.ones(20)), "validation_freq": [1, 3], "epochs": 3},
    ],
    ids=lambda arguments: "-".join(arguments),
)
def test_arguments_have_the_meaning_that_they_have_in_keras(arguments):
    arguments = {"x": X, "y": Y, "shuffle": False, "epochs": 2, "verbose": 0, **arguments}
    theirs, ours = small(), small()
    expected = theirs.fit(**arguments)
    received = kerasmlp.fit(ours, **arguments)
    assert received.history == expected.history
    assert received.epoch == expected.epoch
    assert_same(state(ours), state(theirs))


def test_shuffled_batches_depend_on_the_seed_alone():
    def weights(seed, loop="fit"):
        model = small()
        kerasmlp.fit(model, X, Y, 4, epochs=2, verbose=0, seed=seed, loop=loop)
        return model.get_weights()

    first = weights(0)
    assert_same(first, weights(0, "graph"))
    assert not np.array_equal(first[0], weights(1, "eager")[0])


def test_sparse_and_text_data_are_taken():
    dense, sparse = small(), small()
    kerasmlp.fit(dense, X, Y, verbose=0)
    kerasmlp.fit(sparse, scipy.sparse.csr_matrix(X), Y, verbose=0)
    np.testing.assert_allclose(sparse.get_weights()[0], dense.get_weights()[0], rtol=1e-5)
    texts = np.array(["a b", "b", "c a a", "b c"])
    vectorize = keras.layers.TextVectorization(output_mode="count")
    vectorize.adapt(texts)
    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, keras.layers.Dense(1)(vectorize(inputs)))
    model.compile("sgd", "mse", jit_compile=False)
    before = model.get_weights()[-2]
    kerasmlp.fit(model, texts, np.ones(4), verbose=0)
    assert not np.array_equal(model.get_weights()[-2], before)


def test_a_loop_of_ones_own_gets_data_and_callbacks():
    def loop(model, train, validation, epochs, callbacks):
        for _ in range(epochs):
            for x, y in train:
                model.train_on_batch(x, y)
        assert validation is not None
        assert callbacks == [heard]
        return {"loss": [1.0, 2.0]}

    heard, ours, theirs = keras.callbacks.Callback(), small(), small()
    data = {"epochs": 2, "validation_data": (X, Y), "verbose": 0}
    history = kerasmlp.fit(ours, X, Y, callbacks=heard, loop=loop, **data)
    assert history.history == {"loss": [1.0, 2.0]}
    kerasmlp.fit(theirs, X, Y, epochs=2, verbose=0)
    assert_same(state(ours), state(theirs))


def test_a_loop_of_ones_own_is_recorded_by_what_it_returns(tmp_path, capsys):
    def loop(model, train, validation, epochs, callbacks):
        """Has an optimizer of its own, and stops early."""
        optimizer, losses = keras.optimizers.SGD(0.1), []
        for _ in range(2):
            for x, y in train:
                with tf.GradientTape() as tape:
                    loss = model.compute_loss(y=y, y_pred=model(x))
                optimizer.apply(
                    tape.gradient(loss, model.trainable_variables), model.trainable_variables
                )
            losses.append(float(loss))
        return {"loss": losses, "val_loss": [3.0, 1.0]}

    run, model = tmp_path / "mine", small()
    arguments = {"epochs": 3, "loop": loop, "run": run, "validation_data": (X, Y), "verbose": 0}
    losses = kerasmlp.fit(model, X, Y, batch_size=10, **arguments).history["loss"]
    assert (run / "history.csv").read_text() == (
        f"epoch,loss,val_loss\n0,{losses[0]},3.0\n1,{losses[1]},1.0\n"
    )
    shown = events(run)
    assert shown["train", "loss/running"] == {2: pytest.approx(losses[0]), 4: pytest.approx(losses[1])}
    assert shown["validation", "loss/evaluation"] == {2: 3.0, 4: 1.0}
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["best_validation_loss"] == 1.0
    assert metrics["steps"] == 6
    assert metrics["loop"].endswith("loop")
    assert_same(kerasmlp.load(run).get_weights(), model.get_weights())
    for other in (loop, "fit"):
        with pytest.raises(ValueError, match="run: expected a new folder, for a run of the loop"):
            kerasmlp.fit(model, X, Y, batch_size=10, **arguments | {"loop": other}, resume=True)


def test_a_loop_of_ones_own_that_fails_leaves_the_model_as_it_was_then(tmp_path):
    def loop(model, *_):
        model.set_weights([weight + 1 for weight in model.get_weights()])
        raise RuntimeError("a fault of mine")

    model = small()
    with pytest.raises(RuntimeError, match="a fault of mine"):
        kerasmlp.fit(model, X, Y, loop=loop, run=tmp_path / "mine")
    saved = kerasmlp.load(tmp_path / "mine/checkpoints/interrupted.keras")
    assert_same(saved.get_weights(), model.get_weights())


WRONG = {
    "lengths": ((X, Y[:5]), {}, "the same number of examples in x, y and sample_weight"),
    "generator": (
        (iter([(X, Y)]),),
        {},
        r"expected arrays or a tf.data.Dataset; received list_iterator",
    ),
    "nothing": ((), {}, "expected arrays or a tf.data.Dataset; received NoneType"),
    "unknown size": (
        (tf.data.Dataset.range(9).filter(lambda n: n > 3).batch(2),),
        {},
        "unknown size. Use dataset.apply",
    ),
    "order": (
        (tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(20).batch(5),),
        {},
        "the same batches in the same order each time it is read",
    ),
    "y beside a dataset": (
        (tf.data.Dataset.from_tensor_slices((X, Y)).batch(5), Y),
        {},
        "y: expected None beside a tf.data.Dataset",
    ),
    "split of a dataset": (
        (tf.data.Dataset.from_tensor_slices((X, Y)).batch(5),),
        {"validation_split": 0.5},
        "validation_split: expected 0 with a tf.data.Dataset",
    ),
    "epochs": ((X, Y), {"epochs": -1}, "epochs: expected at least 0; received -1"),
    "batch size": ((X, Y), {"batch_size": 0}, "batch_size: expected at least 1; received 0"),
    "split": ((X, Y), {"validation_split": 0.99}, "validation_split: expected a part of 20 examples"),
    "loop": (
        (X, Y),
        {"loop": "fitt"},
        "loop: expected fit, graph, eager or a function; received 'fitt'",
    ),
    "callbacks": ((X, Y), {"callbacks": [print]}, "callbacks: expected keras callbacks"),
    "classes": ((X, Y), {"class_weight": [1, 2]}, "class_weight: expected a dict"),
    "resume without a run": ((X, Y), {"resume": True}, "run: expected the folder of the run to resume"),
    "checkpoints": (
        (X, Y),
        {"checkpoint_every": "often"},
        "checkpoint_every: expected a positive number",
    ),
    "what a loop returns": (
        (X, Y),
        {"loop": lambda *_: {"loss": 1.0}},
        "loop: expected it to return a dict with a list for each metric",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_arguments_are_errors_that_name_them(wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, named, message = WRONG[wrong]
    model = small()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message) as caught:
        kerasmlp.fit(model, *arguments, **{"verbose": 0, **named})
    assert len(str(caught.value).splitlines()) == 1
    assert_same(model.get_weights(), before)
    assert list(tmp_path.iterdir()) == []


def test_a_model_must_be_compiled():
    with pytest.raises(ValueError, match=r"expected a compiled model; .* Call model.compile\("):
        kerasmlp.fit(keras.Sequential([keras.layers.Dense(1)]), X, Y)
    with pytest.raises(ValueError, match=r"expected a compiled keras.Model; received ndarray"):
        kerasmlp.fit(X, Y)


class StopAt(keras.callbacks.Callback):
    """Sends this process SIGTERM at the end of a step, counted from 1 over all epochs."""

    checkpointed = ()

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_epoch_begin(self, epoch, logs=None):
        self.first = epoch * self.params["steps"]

    def on_train_batch_end(self, batch, logs=None):
        if self.first + batch + 1 == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("kind, loop", pairs(fit_models.MODELS, LOOPS, default=[("two", "eager")]))
def test_an_interrupted_run_ends_as_if_it_had_not_been(kind, loop, tmp_path):
    fit_models.train(kind, tmp_path / "whole", loop=loop)
    for step in (3, 11):
        with pytest.raises(Interrupted, match=rf"after step {step}; to resume: kerasmlp.fit\(.*resume"):
            fit_models.train(kind, tmp_path / "mine", loop=loop, others=[StopAt(step)])
    fit_models.train(kind, tmp_path / "mine", loop=loop, others=[StopAt(0)])
    assert finished(tmp_path / "mine") == finished(tmp_path / "whole")
    assert fit_models.written(tmp_path / "mine") == fit_models.written(tmp_path / "whole")


class Two(keras.Model):
    """Trains with two optimizers, none of them compiled, and counts in a TensorFlow variable."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1, name="dense")
        self.optimizers = [keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.01, momentum=0.9)]
        self.mean = tf.Variable(0.0)

    def call(self, x):
        return self.dense(x)

    def train_step(self, batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True)) * (1 + 0.01 * self.mean)
        self.mean.assign(0.9 * self.mean + 0.1 * loss)
        gradients = tape.gradient(loss, self.trainable_variables)
        for optimizer, gradient, variable in zip(
            self.optimizers, gradients, self.trainable_variables, strict=True
        ):
            optimizer.apply([gradient], [variable])
        return {"loss": loss}


@pytest.mark.parametrize("loop", cases(LOOPS, default=("graph",)))
def test_a_train_step_with_optimizers_of_its_own_is_resumed_exactly(loop, tmp_path):
    def train(name, *others):
        keras.utils.set_random_seed(1)
        model = Two()
        model.compile(loss="mse", jit_compile=False)
        arguments = {"batch_size": 4, "epochs": 3, "run": tmp_path / name, "resume": True, "verbose": 0}
        kerasmlp.fit(model, X, Y.astype(np.float32), loop=loop, callbacks=list(others), **arguments)
        return [np.asarray(each) for each in (*model.variables, model.mean)]

    whole = train("whole", StopAt(0))
    with pytest.raises(Interrupted):
        train("mine", StopAt(6))
    assert_same(train("mine", StopAt(0)), whole)
    assert finished(tmp_path / "mine") == finished(tmp_path / "whole")
    shown = events(tmp_path / "mine")
    assert sorted(shown["train", "loss/running"]) == [5, 10, 15]
    assert len(set(map(float, shown["train", "loss/evaluation"].values()))) == 3
    assert (
        "train",
        "optimizer/learning_rate",
    ) not in shown  # that of the compiled optimizer means nothing


def test_a_run_folder_holds_the_whole_run(tmp_path):
    model, history = fit_models.train("table", tmp_path / "mine", callbacks=False)
    with (tmp_path / "mine/history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_loss"]) for row in rows] == pytest.approx(history.history["val_loss"])
    metrics = json.loads((tmp_path / "mine/metrics.json").read_text())
    assert metrics["steps"] == int(model.optimizer.iterations) == 28
    assert metrics["loss"] == history.history["loss"][-1]
    x, y = fit_models.table()[2]["validation_data"]
    assert metrics["validation_loss"] == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-6)
    assert_same(kerasmlp.load(tmp_path / "mine").get_weights(), model.get_weights())
    shown = {(sub_run, plugin) for sub_run, plugin, _ in series(tmp_path / "mine")}
    assert shown == {
        *(("train", plugin) for plugin in ("graphs", "histograms", "hparams", "scalars", "text")),
        *(("validation", plugin) for plugin in ("histograms", "images", "scalars")),
    }


def test_a_run_is_not_another_one(tmp_path, capsys):
    run = tmp_path / "mine"
    kerasmlp.fit(small(), X, Y, epochs=1, run=run, verbose=0)
    with pytest.raises(FileExistsError, match=r"or resume=True; .*mine exists"):
        kerasmlp.fit(small(), X, Y, epochs=1, run=run, verbose=0)
    again = {"epochs": 2, "run": run, "resume": True, "verbose": 0}
    with pytest.raises(ValueError, match="data: expected the data that the run was begun on"):
        kerasmlp.fit(small(), X + 1, Y, **again)
    with pytest.raises(ValueError, match="batch_size: expected 32, as when the run was begun"):
        kerasmlp.fit(small(), X, Y, batch_size=4, **again)
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])
    other.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="the run was begun with another model"):
        kerasmlp.fit(other, X, Y, **again)
    capsys.readouterr()
    assert kerasmlp.fit(small(), X, Y, **again).epoch == [0, 1]
    assert capsys.readouterr().err == "resuming after step 1 of 2\n"


def test_a_run_that_was_stopped_early_is_not_trained_on(tmp_path):
    def fitted(run, **given):
        stop = keras.callbacks.EarlyStopping("loss", min_delta=100)
        arguments = {"epochs": 5, "verbose": 0, "batch_size": 10, "loop": "eager", "callbacks": [stop]}
        model = small()
        return kerasmlp.fit(model, X, Y, run=tmp_path / run, **arguments, **given).epoch, state(model)

    epochs, ended = fitted("mine")
    assert epochs == [0, 1]
    again, unchanged = fitted("mine", resume=True)
    assert again == epochs
    assert_same(unchanged, ended)


@pytest.mark.thorough
@pytest.mark.parametrize("loop", ["fit", "graph"])
@pytest.mark.parametrize("kind", ["two", "dataset"])
def test_the_program_serves_models_of_every_kind(kind, loop):
    """Weights of samples, several inputs and outputs, and a dataset of batches of one shape."""
    expected, theirs = by_keras(kind)
    model, arguments = fit_models.compiled(kind, jit_compile=True, steps_per_execution=3)
    received = kerasmlp.fit(model, **arguments, shuffle=False, epochs=2, verbose=0, loop=loop)
    for one, other in zip(state(model), theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert received.history["loss"] == pytest.approx(expected.history["loss"], rel=1e-5)


@pytest.mark.parametrize("run", cases((None, "mine"), default=(None,)))
@pytest.mark.parametrize("rate, diverges", [(1e6, True), (0.1, False)])
def test_a_cross_entropy_above_that_of_guessing_is_a_warning(run, rate, diverges, tmp_path, capsys):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, jit_compile=False)
    kerasmlp.fit(model, X, Y, epochs=2, verbose=0, loop="eager", run=run and tmp_path / run)
    said = "warning: the training has diverged: the loss of the last epoch is "
    assert (said in capsys.readouterr().err) == diverges


@pytest.mark.parametrize(
    "limit, number, most",
    [(None, 5, 5), (3, 5, 3), (3, 3, 3), (3, 2, 2), (3, None, 3), (None, None, None)],
)
def test_a_limit_is_the_most(limit, number, most):
    assert fitting._at_most(limit, number) == most


class EndError(Exception):
    """Ends a call when it is known what a test wants to know."""


@pytest.fixture
def driven_with(monkeypatch):
    """Returns what a run is driven with."""

    def driven_with(**given):
        asked = []

        def drive(*arguments, **named):
            asked.append((*arguments, named))
            raise EndError

        monkeypatch.setattr(fitting, "drive", drive)
        with pytest.raises(EndError):
            kerasmlp.fit(small(), X, Y, **given)
        (found,) = asked
        return found

    return driven_with


def test_a_run_is_driven_as_fit_is_asked(driven_with, tmp_path):
    heard = keras.callbacks.TerminateOnNaN()
    given = {"epochs": 7, "seed": 3, "shuffle": False, "initial_epoch": 2, "steps_per_epoch": 3}
    given |= {"validation_split": 0.25, "validation_steps": 1, "steps_per_execution": 2}
    given |= {"validation_batch_size": 2, "checkpoint_every": "5steps", "keep_checkpoints": 9}
    mine = {"run": tmp_path / "logs/mine", "loop": "graph", "callbacks": heard, "verbose": 2}
    settings, task, record, loop, named = driven_with(
        **given, **mine, batch_size=5, validation_freq=[1, 3], resume=True
    )
    assert {name: getattr(settings, name) for name in given} == given
    assert (settings.logdir, settings.name, settings.loop) == (tmp_path / "logs", "mine", "graph")
    assert (settings.batch_size, settings.validation_freq, settings.resume) == (5, (1, 3), True)
    assert named == {"given": [heard], "validation_freq": (1, 3), "verbose": 2}
    assert loop is LOOPS["graph"]
    assert (record.folder, record.initial_step) == (tmp_path / "logs/mine", 2 * 3)
    assert (task.batches.steps_per_epoch, task.batches.seed, task.validation_examples) == (3, 3, 5)
    assert task.model.steps_per_execution == 2


@pytest.mark.parametrize("verbose, shown", [("auto", 1), (1, 1), (0, 0), (2, 2), (True, 1), (False, 0)])
def test_verbose_is_as_in_keras(verbose, shown, driven_with, tmp_path):
    *_, named = driven_with(run=tmp_path / "mine", verbose=verbose)
    assert named["verbose"] == shown


def test_a_new_run_needs_a_new_folder(tmp_path):
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for taken in (tmp_path, tmp_path / "dangling", str(tmp_path)):
        with pytest.raises(
            FileExistsError, match=r"run: expected a new folder, or resume=True; .* exists"
        ):
            kerasmlp.fit(small(), X, Y, run=taken)


def test_an_initial_epoch_is_not_for_a_loop_of_ones_own():
    with pytest.raises(
        ValueError, match="initial_epoch: expected 0 with a loop of your own; received 1"
    ):
        kerasmlp.fit(small(), X, Y, initial_epoch=1, epochs=2, loop=lambda *_: None)


@pytest.mark.parametrize(
    "loop, replicas, is_taken", [("fit", 2, True), ("graph", 1, True), ("graph", 2, False)]
)
def test_only_keras_loop_trains_a_model_of_a_strategy(loop, replicas, is_taken):
    model = small()
    model._distribute_strategy = types.SimpleNamespace(num_replicas_in_sync=replicas)
    if is_taken:
        fitting._check(model, FitSettings(loop=loop), None)
    else:
        with pytest.raises(
            ValueError, match=r"loop: expected fit for a model of a tf.distribute strategy"
        ):
            fitting._check(model, FitSettings(loop=loop), None)


def task_of(x, y, validation_data=None):
    settings = FitSettings(batch_size=4, shuffle=False)
    data = fit_data(settings, x, y, None, None, validation_data)
    return fitting._task(small(), data), data


def test_a_task_has_the_first_examples_of_arrays():
    x = np.arange(4 * 2100, dtype=np.float32).reshape(2100, 4)
    task, data = task_of(x, np.zeros(2100, np.int64), (x[:2050], np.zeros(2050, np.int64)))
    assert (len(task.sample), len(task.shown), task.validation_examples) == (1000, 2000, 2050)
    assert (SAMPLE, SHOWN) == (1000, 2000)
    assert np.array_equal(task.sample.x, x[:1000])
    assert (task.test, task.validates_average, task.data) == (None, False, "arrays")
    assert task.fingerprint == data.examples.fingerprint()
    assert task.validation is data.validation


def test_a_task_has_the_first_batches_of_a_dataset():
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    task, data = task_of(dataset, None, dataset.take(2))
    assert np.array_equal(task.sample.x, X)
    assert np.array_equal(task.shown.x, X[:8])
    assert (task.validation_examples, task.data) == (None, "a tf.data.Dataset")
    assert task.fingerprint == data.train.fingerprint()
    assert task_of(dataset, None)[0].shown is None


def test_sparse_examples_are_shown_as_the_batches_have_them():
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    sparse = Parts.of(scipy.sparse.csr_matrix(X), Y)
    assert np.array_equal(fitting._shown(sparse, lambda: data, 6).x, X[:6])
    dense = fitting._shown(Parts.of(X, Y), lambda: data, 6)
    assert np.array_equal(dense.x, X[:6])
    assert dense.batch_size != 4  # it is not read from the batches
