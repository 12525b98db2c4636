"""The metrics that a loop reports are held to the reference's, and known mistakes in them are named."""

import math
from functools import partial

import keras
import numpy as np
import pytest

import kinds
from kerasmlp.comparison.epoch_metrics import EpochMetrics, compare_history
from kerasmlp.comparison.reference import Reference, restore, state
from kerasmlp.data import Batches

STEPS = 3


class Training:
    """Two epochs of a model with dropout, on 20 examples in batches of 8, with a validation on 5 others.

    Attributes:
        epochs: their `EpochMetrics`.
        steps: the states before each step and after the last.
    """

    def __init__(self, make_model=kinds.dense, labels=lambda y: y):
        x, y = kinds.data_of(kinds.dense)
        y = labels(y)
        self.data = Batches(x[:20], y[:20], 8, seed=3)
        self.model = model = make_model()
        model.build((None, 6))
        model.optimizer.build(model.trainable_variables)
        validation = Batches(x[20:25], y[20:25], 5, seed=4).epoch(0)
        (self.validation,) = validation
        reference = Reference(model, validation=validation)
        model.run_eagerly = True
        self.epochs, self.steps = [], [state(model)]
        for epoch in range(2):
            model.reset_metrics()
            metrics = EpochMetrics(reference, partial(self.data.epoch, epoch))
            for batch in self.data.epoch(epoch):
                model.train_step(batch)
                self.steps.append(state(model))
                metrics.add_execution(self.steps[-2], [batch])
            metrics.end(self.steps[-1])
            self.epochs.append(metrics)

    def of_batches(self, epoch, *, after=False, training=True):
        """The losses, accuracies and sizes of an epoch's batches, from a forward pass of each."""
        found = []
        for number, (x, y) in enumerate(self.data.epoch(epoch)):
            restore(self.model, self.steps[STEPS * epoch + number + after])
            found.append((*self._metrics(x, y, training), len(y)))
        return np.array(found).T

    def _metrics(self, x, y, training):
        y_pred = self.model(x, training=training)
        loss = float(self.model.compute_loss(x, y, y_pred))
        return loss, float(np.mean(np.argmax(y_pred, axis=1) == np.asarray(y)))

    def at_the_end(self, x, y, training=False):
        """The loss and the accuracy after the last step."""
        restore(self.model, self.steps[-1])
        return self._metrics(x, y, training)

    def cause(self, name, value):
        """The cause that is told for a metric of the second epoch; None if there is no difference."""
        first, second = self.epochs
        found = second.compare({name: value}, 6, [first, second])
        assert found is None or (found.step, found.what) == (6, f"metric {name} of the epoch")
        return found and found.cause


@pytest.fixture(scope="module")
def training():
    return Training()


def mean(losses, accuracies, sizes):
    return np.average(losses, weights=sizes), np.average(accuracies, weights=sizes)


def test_the_results_are_the_means_over_the_examples_and_the_validation(training):
    loss, accuracy = mean(*training.of_batches(1))
    val_loss, val_accuracy = training.at_the_end(*training.validation)
    assert training.epochs[1].results == {
        "loss": pytest.approx(loss, rel=1e-5),
        "accuracy": pytest.approx(accuracy, rel=1e-5),
        "val_loss": pytest.approx(val_loss, rel=1e-5),
        "val_accuracy": pytest.approx(val_accuracy, rel=1e-5),
    }


def test_each_mistake_in_the_loss_is_named(training):
    (losses, accuracies, sizes), earlier = training.of_batches(1), training.of_batches(0)
    both = np.concatenate([earlier, (losses, accuracies, sizes)], axis=1)
    expected = {
        "the metric is never updated": 0.0,
        "metrics are not reset at the start of an epoch": mean(*both)[0],
        "the last partial batch is weighted wrongly: a mean of batch means": losses.mean(),
        "the last batch of the epoch is left out of the metrics": losses[:2].mean(),
        "the metric is that of the last batch, not the mean of the epoch": losses[-1],
        "the metric is the sum over the batches, not the mean": losses.sum(),
        "metrics are taken after the update, with training=True": (
            mean(*training.of_batches(1, after=True))[0]
        ),
        "metrics are taken after the update, with training=False": (
            mean(*training.of_batches(1, after=True, training=False))[0]
        ),
        "metrics are taken from a forward pass with training=False": (
            mean(*training.of_batches(1, training=False))[0]
        ),
    }
    found = dict(training.epochs[1]._mistakes("loss", training.epochs))
    swapped = found.pop("the arguments of the metric are swapped")
    assert found == {mistake: pytest.approx(value, rel=1e-5) for mistake, value in expected.items()}
    assert swapped == pytest.approx(training.epochs[1].results["loss"])  # a loss has no such metric
    assert training.cause("loss", losses[-1]) == (
        "the metric is that of the last batch, not the mean of the epoch"
        " (very likely: it gives the reported number to 5 digits)"
    )


def test_a_loss_that_is_a_multiple_of_the_right_one_is_told_so(training):
    right = training.epochs[1].results["loss"]
    assert training.cause("loss", 3 * right) == "the reported number is 3 times the right one"
    assert training.cause("accuracy", 7.0) is None  # of an accuracy no multiple is told


def test_mistakes_in_the_validation_are_named(training):
    results = training.epochs[1].results
    wrong = "the metrics of the validation are those of the training data"
    assert training.cause("val_loss", results["loss"]).startswith(wrong)
    of_training = mean(
        *np.array([(*training.at_the_end(*batch), len(batch[1])) for batch in training.data.epoch(1)]).T
    )
    assert training.cause("val_loss", of_training[0]).startswith(wrong)
    dropped, _ = training.at_the_end(*training.validation, training=True)
    assert training.cause("val_loss", dropped) == (
        "validation changes the state: training=True"
        " (very likely: it gives the reported number to 5 digits)"
    )


def test_the_arguments_of_a_metric_are_swapped():
    """An error relative to the labels, or to the predictions."""

    def regression():
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=["mean_absolute_percentage_error"])
        return model

    training = Training(regression, labels=lambda y: y[:, None] + np.float32(1))  # none is 0
    name, numerator = "mean_absolute_percentage_error", 0.0
    for number, (x, y) in enumerate(training.data.epoch(1)):
        restore(training.model, training.steps[STEPS + number])
        y_pred = training.model(x, training=True).numpy()
        numerator += np.sum(100 * np.abs((np.asarray(y) - y_pred) / y_pred))
    assert training.cause(name, numerator / 20).startswith("the arguments of the metric are swapped")


def test_an_accuracy_may_differ_in_one_example_and_a_loss_in_rounding_only(training, monkeypatch):
    metrics, results = training.epochs[1], training.epochs[1].results
    u = 2.0**-24 * (64 + STEPS)
    bounds = {
        "accuracy": u + 1 / 20,
        "loss": u * max(1.0, results["loss"]),
        "val_loss": u * max(1.0, results["val_loss"]) + 1e-5 * results["val_loss"],
    }
    for name, bound in bounds.items():
        for sign in (1, -1):
            assert metrics.compare({name: results[name] + sign * 0.99 * bound}, 6, ()) is None
        monkeypatch.setattr(metrics, "_causes", lambda *_: iter(()))  # they take long
        for sign in (1, -1):
            divergence = metrics.compare({name: results[name] + sign * 1.01 * bound}, 6, ())
            assert divergence.bound == pytest.approx(bound, rel=1e-6)
            assert divergence.size == pytest.approx(1.01 * bound, rel=1e-3)


def test_of_thousands_of_examples_one_in_a_thousand_may_differ(training, monkeypatch):
    metrics = training.epochs[1]
    monkeypatch.setattr(metrics, "_batch_sizes", [4000, 4000])
    assert metrics._bound("accuracy", 0.5) == pytest.approx(0.001 + 2.0**-24 * 66)


def test_what_rounding_moves_is_added_to_the_bound(training):
    metrics = training.epochs[1]
    reported = {"loss": metrics.results["loss"] + 0.01}
    assert metrics.compare(reported, 6, training.epochs) is not None
    metrics.spread["loss"] = 0.02
    assert metrics.compare(reported, 6, training.epochs) is None
    del metrics.spread["loss"]


def test_a_number_that_is_none_is_right_if_both_are(training, monkeypatch):
    metrics = training.epochs[1]
    assert metrics.compare({"loss": math.nan}, 6, training.epochs).size != 0
    monkeypatch.setitem(metrics.results, "loss", math.nan)
    assert metrics.compare({"loss": math.nan}, 6, training.epochs) is None
    assert metrics.compare({"loss": 1.0}, 6, training.epochs) is not None


def test_metrics_that_a_loop_never_updates_are_not_compared_but_the_validation_is(training):
    metrics = training.epochs[1]
    untouched = {"loss": 0.0, "accuracy": 0.0}
    assert metrics.compare(untouched, 6, training.epochs) is None
    assert not metrics.are_updated(untouched)
    assert not metrics.are_updated({"val_loss": 1.0})
    assert metrics.are_updated({"loss": 1.0})
    wrong = {**untouched, "val_loss": metrics.results["val_loss"] + 1}
    assert metrics.compare(wrong, 6, training.epochs).what == "metric val_loss of the epoch"
    one_updated = {"loss": metrics.results["loss"], "accuracy": 0.0}
    cause = metrics.compare(one_updated, 6, training.epochs).cause
    assert cause.startswith("the metric is never updated (")


def test_only_single_numbers_of_known_names_are_compared(training):
    metrics = training.epochs[1]
    assert metrics.known({"loss": 1.0, "mine": 2.0, "accuracy": [1.0, 2.0]}) == ["loss"]
    assert metrics.known({"val_loss": 1.0, "val_mine": 1.0}) == ["val_loss"]


def test_the_losses_of_single_outputs_are_left_out(training, monkeypatch):
    metrics = training.epochs[1]
    monkeypatch.setattr(metrics, "results", {"loss": 1.0, "kind_loss": 1.0, "val_loss": 1.0})
    assert metrics.known({"loss": 1.0, "kind_loss": 1.0, "val_loss": 1.0}) == ["loss", "val_loss"]


@pytest.mark.parametrize("flag", [True, False])
def test_a_forward_pass_says_how_it_is_made_to_the_model_and_its_loss(training, flag, monkeypatch):
    metrics, model, heard = training.epochs[1], training.model, []
    compute_loss = model.compute_loss

    def listens(*given, **named):
        heard.append(named)
        return compute_loss(*given, **named)

    monkeypatch.setattr(model, "compute_loss", listens)
    metrics._add_pass(training.validation, training=flag)
    assert heard == [{"training": flag}]


def causes(metrics, name, received, *mistakes):
    """The causes of a number that is wrong, where these mistakes are known."""
    metrics._mistakes = lambda *_: iter(mistakes)
    try:
        return list(metrics._causes(name, received, ()))
    finally:
        del metrics._mistakes


def test_a_mistake_is_named_if_it_gives_the_number_to_five_digits(training, monkeypatch):
    metrics = training.epochs[1]
    monkeypatch.setattr(metrics, "results", {"loss": 2.0, "accuracy": 0.5})
    gives = "it gives the reported number to 5 digits"
    (cause,) = causes(metrics, "accuracy", 300.0, ("a", 300.002), ("b", 300.004), ("c", math.nan))
    assert cause == f"a (very likely: {gives})"
    (cause,) = causes(metrics, "accuracy", 0.3, ("a", 0.300009), ("b", 0.300011), ("c", 0.3))
    assert cause == f"a; or c (each of them {gives.removeprefix('it ')})"
    assert causes(metrics, "loss", 3.0, ("a", 4.0)) == ["the reported number is 1.5 times the right one"]
    assert causes(metrics, "loss", math.inf) == causes(metrics, "accuracy", 3.0) == []
    monkeypatch.setitem(metrics.results, "loss", 0.0)
    assert causes(metrics, "loss", 3.0) == []


def test_of_an_epoch_of_one_step_no_batch_is_left_out(training, monkeypatch):
    metrics = training.epochs[1]
    monkeypatch.setattr(metrics, "_taken", lambda **_: {})
    left_out = "the last batch of the epoch is left out of the metrics"
    assert left_out in dict(metrics._mistakes("loss", training.epochs))
    monkeypatch.setattr(metrics, "_after_steps", metrics._after_steps[:2])
    assert left_out not in dict(metrics._mistakes("loss", training.epochs))


def test_a_validation_that_callbacks_do_not_hear_is_named(training, monkeypatch):
    metrics = training.epochs[1]
    quiet = metrics.results["val_loss"]
    monkeypatch.setitem(metrics.results, "val_loss", quiet + 1)  # a callback changes it
    assert training.cause("val_loss", quiet).startswith(
        "callbacks do not hear the validation: model.evaluate is called without them ("
    )


def test_a_history_is_compared_epoch_by_epoch(training):
    first, second = (each.results for each in training.epochs)
    history = {name: [first[name], second[name]] for name in first}
    assert compare_history(history, training.epochs, STEPS) is None
    assert compare_history({}, training.epochs, STEPS) is None
    assert compare_history({"mine": [1.0]}, training.epochs, STEPS) is None

    wrong = compare_history({**history, "loss": [first["loss"], 7.0]}, training.epochs, STEPS)
    assert (wrong.step, wrong.what) == (6, "metric loss of the epoch")
    wrong = compare_history({**history, "loss": [7.0, second["loss"]]}, training.epochs, STEPS)
    assert wrong.step == 3

    short = compare_history({"loss": [first["loss"]]}, training.epochs, STEPS)
    assert (short.step, short.what) == (6, "the loop returned 1 values of loss for 2 epochs")
    assert short.cause == "the loop returns wrong metrics"
    one = compare_history({"loss": [0.1, 0.2]}, training.epochs[:1], STEPS)
    assert one.what == "the loop returned 2 values of loss for 1 epochs"
    of_steps = {"loss": [1.0] * 6}  # one for each step: not compared
    assert compare_history(of_steps, training.epochs, STEPS) is None
    assert compare_history(history, [], STEPS) is None
