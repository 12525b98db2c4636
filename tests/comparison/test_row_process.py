"""What the process of a row does and sends, in this process, with messages that are noted."""

import contextlib
import dataclasses
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import kinds
from kerasmlp import loops
from kerasmlp.comparison import running, trajectory
from kerasmlp.comparison.reference import state
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.start import start_from
from kerasmlp.comparison.verdict import same


class Notes:
    """A talk: notes what is sent, and answers with `answer`, or else with what was sent last."""

    def __init__(self, answer=None):
        self.sent, self._answer = [], answer

    def send(self, value):
        self.sent.append(value)

    def receive(self):
        return self.sent[-1] if self._answer is None else self._answer


@pytest.fixture
def start():
    x, y = kinds.data_of(kinds.dense)
    with start_from(kinds.dense, ((x[:20], y[:20]), (x[20:], y[20:])), 8, 5) as start:
        yield start


GRAPH = Row("graph", "graph", jit_compile=False, steps_per_execution=2)
FIT = Row("fit", "fit", jit_compile=False)


def test_a_row_sends_its_initial_state_then_its_steps_and_returns_the_trajectory(start, monkeypatch):
    monkeypatch.setattr(trajectory, "SECONDS_BETWEEN_MESSAGES", -1.0)
    talk = Notes()
    found = trajectory.check_row(talk, start, GRAPH, FIT, 2)
    initial, *steps = talk.sent
    assert same(initial, state(_built(start)))
    assert steps == [2, 3, 5, 6]
    assert found.divergence is None and found.steps == found.steps_in_all == 6
    assert (found.jit_compile, found.steps_per_execution) == (False, 2)
    assert list(found.history) == ["accuracy", "loss"]  # built-in loops need no validation
    assert len(found.losses) == 6 and found.reports_metrics
    assert found.unit_roundoff == 2.0**-24 and found.longest_sum == 8

    model = start.new_model()
    for variable, value in zip(model.variables, found.weights, strict=True):
        variable.assign(value)
    x = kinds.data_of(kinds.dense)[0][20:]
    np.testing.assert_allclose(found.predictions[0], model(x, training=False), atol=1e-6)


def _built(start):
    model = start.new_model()
    loops.build(model, start.batches())
    return model


def test_a_row_starts_from_the_state_that_it_is_sent(start):
    other = [value + 1 if value.dtype.kind == "f" else value for value in state(_built(start))]
    nothing = Row("mine", lambda model, train, validation, epochs, callbacks: None)
    found = trajectory.check_row(Notes(other), start, nothing, FIT, 1)
    assert same([*found.weights, *found.optimizer], other)


def test_who_gets_the_validation_data(start, monkeypatch):
    """A loop of users always; a built-in one only if callbacks may listen."""

    given = []

    def mine(model, train, validation, epochs, callbacks):
        given.append([len(y) for _, y in validation])

    trajectory.check_row(Notes(), start, Row("mine", mine), FIT, 1)
    assert given == [[8, 8, 8]]
    seen = []
    loop = types.SimpleNamespace(
        loop=lambda _: lambda model, train, validation, *_: seen.append(validation)
    )
    monkeypatch.setattr(running, "distribution", lambda *_: loop)
    trajectory.check_row(Notes(), start, FIT, FIT, 1)
    driven = dataclasses.replace(start, callbacks=(keras.callbacks.TerminateOnNaN(),))
    trajectory.check_row(Notes(), driven, FIT, FIT, 1)
    assert seen[0] is None and seen[1] is not None


def test_progress_is_sent_a_few_times_a_second(monkeypatch):
    talk, now = Notes(), [100.0]
    progress = trajectory._SendProgress(talk)
    progress.set_model(types.SimpleNamespace(optimizer=types.SimpleNamespace(iterations=tf.constant(7))))
    monkeypatch.setattr(trajectory.time, "monotonic", lambda: now[0])
    for seconds in (0.0, 0.1, 0.05, 0.06, 0.3):
        now[0] += seconds
        progress.on_train_batch_end(0)
    assert talk.sent == [7, 7, 7]  # after 0, 0.21 and 0.51 s


@pytest.mark.parametrize(
    "loop, strategy, driven, validates",
    [
        ("mine:loop", "none", False, True),
        ("mine:loop", "none", True, True),
        ("fit", "none", False, False),
        ("graph", "none", True, True),
        ("fit", "mirrored", True, False),
        ("fit", "multiworker", False, False),
    ],
)
def test_a_distributed_loop_gets_no_validation(loop, strategy, driven, validates, start, monkeypatch):
    found = {}

    def check_loop(*given, validates):
        found.update(given=given, validates=validates)
        return "trajectory"

    row, first = (
        Row("row", loop, jit_compile=False, strategy=strategy),
        Row("first", "fit", jit_compile=True, steps_per_execution=3),
    )
    callbacks = (keras.callbacks.TerminateOnNaN(),) if driven else ()
    start = dataclasses.replace(start, callbacks=callbacks)
    monkeypatch.setattr(trajectory, "check_loop", check_loop)
    of_running = []
    monkeypatch.setattr(
        trajectory, "running", lambda *of: of_running.append(of) or contextlib.nullcontext("loop")
    )
    talk = Notes()
    assert trajectory.check_row(talk, start, row, first, 4) == "trajectory"
    assert of_running == [(row, start, 4)]
    assert found["validates"] is validates
    loop, model, reference, of, epochs, initial, (progress,) = found["given"]
    assert (loop, of, epochs) == ("loop", start, 4)
    assert (model.jit_compile, model.steps_per_execution) == (False, 1)
    assert (reference.jit_compile, reference.steps_per_execution) == (True, 3)
    assert initial is talk.sent[0] and isinstance(progress, keras.callbacks.Callback)


class Losses:
    """A model by hand, whose steps have losses, and what collects them."""

    def __init__(self, steps_per_execution=1):
        self.model = kinds.plain(steps_per_execution=steps_per_execution)
        self.losses = trajectory._Losses()
        trajectory._begin([self.losses], self.model, 3, 2)

    def step(self, *losses):
        for loss in losses:
            self.model.compute_loss(None, tf.constant([0]), tf.constant([[float(loss), 0.0, 0.0]]))


def entropy(of):
    return np.float32(-np.log(np.exp(of) / (np.exp(of) + 2)))


def test_the_losses_of_all_steps_are_collected_whatever_the_numbers_of_its_batches():
    one = Losses()
    compute_loss = one.model.compute_loss
    one.losses.set_model(one.model)
    assert one.model.compute_loss is compute_loss  # it is wrapped once
    for number in range(3):
        one.step(number)
        one.losses.on_train_batch_end(7)
    np.testing.assert_allclose(one.losses.all, [entropy(0), entropy(1), entropy(2)], rtol=1e-6)
    one.losses.on_train_end()
    assert one.model.compute_loss != compute_loss


def test_losses_of_which_some_were_missed_are_not_known():
    two = Losses(steps_per_execution=2)
    two.step(0, 1)
    two.losses.on_train_batch_end(1)
    assert len(two.losses.all) == 2
    two.step(0, 1, 2)
    two.losses.on_train_batch_end(3)
    assert two.losses.all == []
    two.step(0)
    two.losses.on_train_batch_end(4)
    assert two.losses.all == []


def test_what_a_loop_does_not_say_of_its_training_stays_as_it_was():
    losses = Losses().losses
    assert losses.params == {"steps": 3, "epochs": 2, "verbose": 0}
    losses.set_params({"steps": None, "epochs": 5})
    assert losses.params == {"steps": 3, "epochs": 5, "verbose": 0}


def test_at_the_end_the_loss_of_the_model_is_its_own_again(start):
    kept = []

    def mine(model, train, validation, epochs, callbacks):
        kept.append(model)
        assert "compute_loss" in vars(model)
        for callback in callbacks:
            assert callback.params == {"steps": 3, "epochs": 1, "verbose": 0}
            assert callback.model is model

    trajectory.check_row(Notes(), start, Row("mine", mine), FIT, 1)
    assert kept[0].compute_loss.__func__ is keras.Model.compute_loss


class Told(keras.callbacks.Callback):
    """Raises an error if it is told anything else of the training."""

    def on_train_begin(self, logs=None):
        assert self.params == {"steps": 3, "epochs": 2, "verbose": 0}


def test_the_callbacks_of_the_reference_are_told_what_those_of_fit_are_told(start):
    nothing = Row("mine", lambda model, train, validation, epochs, callbacks: None)
    driven = dataclasses.replace(start, callbacks=(Told(),))
    trajectory.check_row(Notes(), driven, nothing, FIT, 2)
    with pytest.raises(AssertionError):
        trajectory.check_row(Notes(), driven, nothing, FIT, 1)


def test_whether_metrics_are_reported_is_told_by_the_first_epoch():
    updated = types.SimpleNamespace(are_updated=lambda first: first == {"loss": 0.5})
    for history, epochs, reports in (
        ({"loss": [0.5, 0.25]}, [updated], True),
        ({"loss": [0.25, 0.5]}, [updated], False),
        ({"loss": [0.5], "empty": []}, [updated], True),
        ({"loss": [0.5]}, [], False),
    ):
        assert trajectory._reports_metrics(history, epochs) is reports


def test_the_first_thousand_test_examples_are_predicted():
    x, y = kinds.data_of(kinds.plain)
    x, y = np.tile(x, (24, 1)), np.tile(y, 24)
    with start_from(kinds.plain, ((x[:8], y[:8]), (x, y)), 100, 5) as start:
        model = start.new_model()
        (found,) = trajectory._predictions(model, start)
    assert len(x) == 1056 and len(found) == 1000
    np.testing.assert_allclose(found, model(x[:1000]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "returned, history",
    [
        (None, {}),
        ({"loss": [1, 0.5], "name": ["a", "b"], "scalar": 3.0}, {"loss": [1.0, 0.5]}),
        ({"right": np.array([True, False])}, {"right": [1.0, 0.0]}),
        (types.SimpleNamespace(history={"loss": [np.float32(0.5)]}), {"loss": [0.5]}),
    ],
)
def test_the_metrics_of_each_epoch_are_read_from_what_a_loop_returns(returned, history):
    assert trajectory._history(returned) == history


@pytest.mark.parametrize("returned", [0.5, [1.0], types.SimpleNamespace(history="loss")])
def test_what_has_no_metrics_by_name_is_refused(returned):
    kind = type(getattr(returned, "history", returned)).__name__
    with pytest.raises(
        TypeError, match=rf"^expected the loop to return the metrics .*; received {kind}$"
    ):
        trajectory._history(returned)


def test_a_model_that_cannot_be_called_has_no_predictions(start):
    class Uncallable(kinds.Subclass):
        def call(self, x, training=False):
            raise NotImplementedError("it trains in its train_step")

    assert trajectory._predictions(Uncallable(), start) == []


def test_batches_of_the_validation_are_no_draws_and_a_loop_without_end_is_stopped(start):
    """After three draws for each step, and a hundred more."""
    drawn = []

    def mine(model, train, validation, epochs, callbacks):
        for _ in validation.repeat(50):
            pass
        for number, _ in enumerate(train.epoch(1).repeat()):
            drawn.append(number)

    found = trajectory.check_row(Notes(), start, Row("mine", mine), FIT, 1)
    assert found.divergence.cause == "the loop trains nothing"
    assert (found.steps, found.steps_in_all) == (0, 3)
    assert len(drawn) == 3 * 3 + 100


def test_a_loop_that_changes_no_weight_is_said_to_train_nothing_or_another_model():
    model = kinds.dense()
    initial = state(model)
    moved = [value + 1 if value.dtype.kind in "iu" else value for value in initial]  # seeds
    own = types.SimpleNamespace(other_weights=[])
    nothing = trajectory._divergence_of_nothing(model, initial, moved, own)
    assert (nothing.step, nothing.what) == (1, "the loop changes no weight of the model")
    assert nothing.cause == "the loop trains nothing"
    own.other_weights = ["a", "b", "a", "c", "d"]
    other = trajectory._divergence_of_nothing(model, initial, initial, own)
    assert (other.step, other.cause) == (1, "the loop trains another model")
    assert other.what == "the loop trains another model, not the one that it is given: a, b, c"
    trained = [value + 1 if value.dtype.kind == "f" else value for value in initial]
    assert trajectory._divergence_of_nothing(model, initial, trained, own) is None


# Several workers.


def test_the_chief_of_several_workers_starts_the_others(monkeypatch):
    started = []

    class Process:
        def __init__(self, function, *args):
            started.append((function, args))

        def __enter__(self):
            started.append("entered")

        def __exit__(self, *_):
            started.append("left")

    monkeypatch.setattr(running, "Process", Process)
    monkeypatch.setattr(running, "free_addresses", lambda count: [f"a:{n}" for n in range(count)])
    monkeypatch.setattr(
        running, "distribution", lambda name: types.SimpleNamespace(loop=lambda loop: (name, loop))
    )
    monkeypatch.setattr(running.os, "environ", environment := {})
    row = Row("fit+multiworker3", "fit", strategy="multiworker", replicas=3)
    with running.running(row, "start", 4) as loop:
        assert loop == ("multiworker", "fit")
        assert environment == {"TF_CONFIG": running.tf_config(["a:0", "a:1", "a:2"], 0)}
        assert started[1::2] == ["entered", "entered"]
    function, addresses = "kerasmlp.comparison.running:train_as_worker", ["a:0", "a:1", "a:2"]
    assert started[:3:2] == [(function, ("start", row, 4, addresses, n)) for n in (1, 2)]
    assert started[4:] == ["left", "left"]


def test_a_worker_trains_as_the_row_says(monkeypatch, start):
    calls = []
    workers = types.SimpleNamespace(loop=lambda name: lambda *given: calls.append((name, given)))
    monkeypatch.setattr(running, "distribution", lambda name: workers)
    monkeypatch.setattr(running.os, "environ", environment := {})
    row = Row("fit+multiworker2", "fit", jit_compile=False, strategy="multiworker", replicas=2)
    running.train_as_worker(None, start, row, 4, ["a:0", "a:1"], 1)
    assert environment == {"TF_CONFIG": running.tf_config(["a:0", "a:1"], 1)}
    ((name, (model, train, validation, epochs, callbacks)),) = calls
    assert (name, validation, epochs, callbacks) == ("fit", None, 4, [])
    assert model.jit_compile is False and train.steps_per_epoch == 3
