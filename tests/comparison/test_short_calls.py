"""A loop whose steps cannot be seen is called for a few steps at a time.

The loops of these tests are plain Python around a step that is traced once.
"""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import kinds
from bench import STEPS, Bench
from helpers import cases
from kerasmlp.comparison import short_calls
from kerasmlp.comparison.reference import RIGHT, own_gradients, state
from kerasmlp.comparison.rounding import Rounding
from kerasmlp.comparison.short_calls import ShortCalls
from kerasmlp.comparison.verdict import PARTIAL_DROPPED, same
from kerasmlp.comparison.watching import OwnOptimizers
from kerasmlp.data import Batches

SURE = " (certain: it gives the loop's step bit for bit)"


def check(bench, loop, epochs=2, callbacks=list):
    """Let a loop train, and check its short calls."""
    bench.start()
    with OwnOptimizers(bench.model) as own:
        loop(bench.model, bench.train, None, epochs, callbacks())
        ended = state(bench.model)
        calls = ShortCalls(bench.rounding, bench.train, bench.initial, loop, bench.model, own)
        calls.check(epochs, callbacks, ended)
    return calls


@pytest.fixture(scope="module")
def bench():
    return Bench()


def written(order=lambda batches, epoch: batches, epoch_of=lambda epoch: epoch, epochs_of=lambda n: n):
    """A loop that trains on the batches that `order` makes of those of an epoch."""

    def loop(model, train, validation, epochs, callbacks):
        heard = keras.callbacks.CallbackList(callbacks, model=model)
        for epoch in range(epochs_of(epochs)):
            heard.on_epoch_begin(epoch)
            for batch in order(list(train.epoch(epoch_of(epoch))), epoch):
                model.take(batch)
            heard.on_epoch_end(epoch)

    return loop


def test_a_right_loop_agrees_step_by_step_and_at_its_end(bench):
    calls = check(bench, written())
    assert (calls.divergence, calls.undecided, calls.failure) == (None, None, None)
    assert calls.steps == 2 * STEPS
    assert calls.end_is_seen
    assert len(calls.metrics) == 2


WITHIN = {
    "batch 2 of the epoch is used twice": lambda b, _: [*b[:2], *b[1:]],
    "batch 1 of the epoch is used twice, and the next one is left out": lambda b, _: (
        [b[0], b[0], *b[2:]] if len(b) > 1 else b
    ),
    "batch 2 of the epoch is left out": lambda b, _: [*b[:1], *b[2:]],
}


@pytest.mark.parametrize("cause", cases(WITHIN, default=[*WITHIN][1:]))
def test_what_is_wrong_within_an_epoch_is_named(bench, cause):
    """Calls with a single batch an epoch do not show it."""
    calls = check(bench, written(WITHIN[cause]), epochs=1)
    assert calls.divergence.step == 2
    assert calls.divergence.cause == cause + SURE
    assert calls.divergence.size > calls.divergence.bound > 0
    assert calls.measured == 1 and calls.share > 1


def test_a_cause_may_be_known_within_rounding_only(bench):
    def skips(model, train, validation, epochs, callbacks):
        for epoch in range(epochs):
            first, *others = train.epoch(epoch)
            for batch in [first, *others[1:]]:
                RIGHT.take(model, batch)
                kernel = model.trainable_variables[0]
                kernel.assign(np.nextafter(kernel, np.float32(1)))  # other bits, on every machine

    assert check(bench, skips, epochs=1).divergence.cause == (
        "batch 2 of the epoch is left out (very likely: it gives the loop's step within rounding)"
    )


def test_an_order_that_is_none_of_these_is_said_too(bench):
    calls = check(bench, written(lambda batches, _: batches[::-1]), epochs=1)
    assert calls.divergence.step == 2
    assert calls.divergence.cause == (
        "other batches, or another order: with one batch an epoch each step is right, with several it"
        " is not (very likely: it gives the loop's step within rounding)"
    )


def test_a_wrong_step_is_found_by_the_calls_of_one_step(bench):
    def wrong(model, train, validation, epochs, callbacks):
        for epoch in range(epochs):
            for batch in train.epoch(epoch):
                model.take(batch)
                model.take(batch)

    calls = check(bench, wrong)
    assert calls.divergence.step == 1
    assert calls.divergence.cause.startswith("the batch is used twice")


@pytest.mark.parametrize(
    "loop, cause",
    [
        (
            written(epoch_of=lambda epoch: 0),
            f"the same batches in each epoch: those of the first are repeated{SURE}",
        ),
        (written(epochs_of=lambda epochs: 1), f"the loop trains one epoch only{SURE}"),
        (
            written(lambda batches, _: [each for each in batches if len(each[1]) == 8]),
            f"{PARTIAL_DROPPED}{SURE}",
        ),
    ],
    ids=["the same", "one epoch", "no partial"],
)
def test_what_is_wrong_between_epochs_is_named(bench, loop, cause, monkeypatch):
    monkeypatch.setattr(short_calls, "FIRST_STEPS", 2)  # the partial batch is not among them
    calls = check(bench, loop)
    assert calls.divergence.cause == cause
    assert calls.divergence.step == STEPS + 1


@pytest.mark.thorough
def test_an_optimizer_that_lives_on_between_the_calls_starts_anew_in_each():
    bench = Bench(lambda: keras.optimizers.SGD(0.1, momentum=0.9))
    own = keras.optimizers.SGD(0.1, momentum=0.9)

    def loop(model, train, validation, epochs, callbacks):
        for epoch in range(epochs):
            for batch in train.epoch(epoch):
                own.apply(own_gradients(model, batch), model.trainable_variables)

    calls = check(bench, loop)
    assert calls.divergence is None and calls.has_own_optimizer
    assert calls.steps == 2 * STEPS


def test_each_call_starts_where_the_training_started(bench):
    bench.start()
    own = keras.optimizers.SGD(0.1, momentum=0.9)
    with OwnOptimizers(bench.model) as optimizers:
        batch = bench.train.first_batch()
        own.apply(own_gradients(bench.model, batch), bench.model.trainable_variables)
        loop = written()
        calls = ShortCalls(bench.rounding, bench.train, bench.initial, loop, bench.model, optimizers)
    assert calls.has_own_optimizer
    assert (calls.failure, calls.end_is_seen) == (None, False)
    assert own.variables[2].numpy().any() and not same(state(bench.model), bench.initial)
    calls._restart()
    assert same(state(bench.model), bench.initial)
    assert optimizers.iterations() == 0 and not own.variables[2].numpy().any()


def test_a_part_has_some_of_the_steps_of_each_epoch_and_tells_them_to_its_follower(bench):
    """It tells them once, though a loop may ask twice for the same epoch."""
    heard = []
    follower = types.SimpleNamespace(
        before_draw=lambda: heard.append("asks"),
        after_draw=lambda batch: heard.append(len(batch[1])),
    )
    part = short_calls._Part(bench.train, lambda epoch: (epoch + 1, (1, 2)), 2)
    assert (part.steps_per_epoch, part.batch_size) == (2, 8)

    def labels(dataset):
        return [list(y) for _, y in dataset.as_numpy_iterator()]

    expected = [labels(bench.train.epoch(number))[1:] for number in (1, 2)]
    assert labels(part.epoch(0)) == expected[0]  # nobody follows
    part.follower = follower
    assert labels(part.epoch(0)) == expected[0]
    assert labels(part.epoch(0)) == expected[0]
    assert heard == ["asks", 8, 4, "asks"]
    assert labels(part.epoch(tf.constant(1))) == expected[1]
    assert heard[4:] == ["asks", 8, 4]
    assert labels(part.epoch(1, first_step=1)) == expected[1][1:]


@pytest.mark.thorough
def test_of_a_loop_that_hides_its_epochs_too_the_first_wrong_call_is_explained(bench):
    def wrong(model, train, validation, epochs, callbacks):
        own = keras.optimizers.SGD(0.05)
        own.build(model.trainable_variables)

        @tf.function(autograph=False)
        def everything():
            for epoch in range(epochs):
                for number in range(train.steps_per_epoch):
                    batch = train.epoch(epoch).skip(number).take(1).get_single_element()
                    own.apply(own_gradients(model, batch), model.trainable_variables)

        everything()

    calls = check(bench, wrong, epochs=1)
    assert calls.divergence.step == 1
    assert "another learning rate: 0.05, not 0.1" in calls.divergence.cause


def test_what_changes_between_epochs_may_show_in_short_ones(bench):
    def slower(model, train, validation, epochs, callbacks):
        model.optimizer.learning_rate = 0.1
        for epoch in range(epochs):
            model.optimizer.learning_rate = 0.1 / (1 + epoch)
            for batch in train.epoch(epoch):
                model.take(batch)

    calls = check(bench, slower)
    assert calls.divergence.step == STEPS + 1
    bench.start()
    assert "another learning rate: 0.05, not 0.1" in calls.divergence.cause


def only_whole(wrong=lambda batches: batches):
    """A loop that refuses calls for a few steps, and may train on other batches."""

    def loop(model, train, validation, epochs, callbacks):
        if train.steps_per_epoch != STEPS or epochs < 2:
            raise RuntimeError("not for so few steps")
        for epoch in range(epochs):
            for batch in wrong(list(train.epoch(epoch))):
                model.take(batch)

    return loop


def test_a_loop_that_cannot_be_called_for_a_few_steps_is_held_by_its_end(bench):
    calls = check(bench, only_whole())
    assert calls.failure == "RuntimeError: not for so few steps"
    assert (calls.divergence, calls.undecided, calls.steps) == (None, None, 0)
    assert calls.end_is_seen

    calls = check(bench, only_whole(lambda batches: batches[::-1]))
    assert calls.divergence.step == 2 * STEPS
    assert calls.divergence.what.endswith(", at the end of training,")
    assert calls.divergence.size > calls.divergence.bound > 0
    assert calls.divergence.cause is None


def test_an_end_that_tells_nothing_leaves_such_a_loop_undecided(bench, monkeypatch):
    monkeypatch.setattr("kerasmlp.comparison.whole_run.TELLING", 0.0)
    calls = check(bench, only_whole(lambda batches: batches[::-1]))
    assert calls.divergence is None and not calls.end_is_seen
    assert calls.undecided == (
        "the loop hides its steps in a graph, rounding is too large at its end, and it cannot be called"
        " for a few steps: RuntimeError: not for so few steps"
    )
    calls = check(bench, written())  # its short calls tell enough
    assert calls.undecided is None and calls.steps > 0


def test_steps_that_are_missing_in_each_epoch_are_counted(bench):
    calls = check(bench, only_whole(lambda batches: batches[:-1]))
    assert calls.divergence.step == 1
    assert calls.divergence.what == "the loop ended after 4 steps, not after 6"
    assert calls.divergence.cause == "1 step(s) of each epoch are left out"
    calls = check(bench, only_whole(lambda batches: [*batches, batches[0]]))
    assert calls.divergence.cause == "the loop trains on after step 6"


@pytest.mark.thorough
def test_at_most_so_many_steps_are_looked_at_one_by_one(bench, monkeypatch):
    monkeypatch.setattr(short_calls, "SHORT_EPOCHS", 4)
    monkeypatch.setattr(short_calls, "FIRST_STEPS", 2)
    assert check(bench, written()).steps == 4
    monkeypatch.setattr(short_calls, "SHORT_EPOCHS", 1)
    assert check(bench, written()).steps == 2  # of the call on the first steps


@pytest.mark.thorough
def test_a_step_that_draws_outside_of_the_seeds_is_undecided(bench, monkeypatch):
    monkeypatch.setattr(short_calls, "draws_outside_seeds", lambda *_: "it draws")
    assert check(bench, written()).undecided == "it draws"


@pytest.mark.thorough
def test_callbacks_hear_one_call_on_the_whole_training():
    """They count epochs, so the loop is called as it was, and followed epoch by epoch."""

    def callbacks():
        return [keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch))]

    bench = Bench(callbacks=callbacks)
    one_step = types.SimpleNamespace(steps=[])

    def one_epoch(model, train, validation, epochs, heard):
        one_step.steps.append((train.steps_per_epoch, epochs, len(heard)))
        written()(model, train, validation, epochs, heard)

    bench.train = Batches(*(part[:8] for part in kinds.data_of(kinds.plain)), 8, seed=3)
    bench.rounding = Rounding(bench.rounding.reference, bench.train)
    calls = check(bench, one_epoch, epochs=3, callbacks=callbacks)
    assert calls.divergence is None
    assert calls.steps == 3
    assert one_step.steps == [(1, 3, 1), (1, 3, 2)]  # that of the check hears it too
    assert np.isfinite(calls.share)
    calls = check(bench, written(epochs_of=lambda epochs: epochs - 1), epochs=3, callbacks=callbacks)
    assert calls.divergence.what == "the loop ended after 2 steps, not after 3"
