"""What the follower of a loop concludes from each thing that it sees and hears."""

import types

import keras
import numpy as np
import pytest

import kinds
from bench import STEPS, Bench
from kerasmlp.comparison import follower as of_follower
from kerasmlp.comparison.follower import EndlessLoopError, Follower
from kerasmlp.comparison.reference import own_gradients, values
from kerasmlp.comparison.verdict import PARTIAL_DROPPED, same
from kerasmlp.comparison.watching import OwnOptimizers


class Watched:
    """A loop by hand: each thing that it does is a call, and the follower sees it."""

    def __init__(self, bench, **options):
        bench.start()
        self.bench, self.model, self.executions = bench, bench.model, 0
        self.own = OwnOptimizers(bench.model)
        self.follower = Follower(
            bench.rounding, bench.train, bench.initial, bench.model, self.own, self._note, **options
        )
        self.follower.set_model(bench.model)

    def _note(self):
        self.executions += 1

    @property
    def divergence(self):
        return self.follower.divergence

    def draw(self, batch):
        self.follower.before_draw()
        self.follower.after_draw(batch)

    def batches(self, epoch):
        return list(self.bench.train.epoch(epoch))

    def drawn_epoch(self, epoch, steps=STEPS, take=None):
        """Train on the first steps of an epoch, without a hook."""
        for batch in self.batches(epoch)[:steps]:
            self.draw(batch)
            (take or self.model.take)(batch)

    def take_at_once(self, batches):
        """Draw all batches, then train on them, without a hook."""
        for batch in batches:
            self.draw(batch)
        for batch in batches:
            self.model.take(batch)

    def heard_epoch(self, epoch, steps=STEPS):
        """Train on the first steps of an epoch, with the hooks of batches."""
        for number, batch in enumerate(self.batches(epoch)[:steps]):
            self.follower.on_train_batch_begin(number)
            self.model.take(batch)
            self.follower.on_train_batch_end(number)


@pytest.fixture(scope="module")
def bench():
    return Bench()


@pytest.fixture
def watched(bench):
    return Watched(bench)


@pytest.mark.parametrize("hears", [True, False])
def test_a_right_training_is_seen_step_by_step(watched, hears):
    for epoch in range(2):
        (watched.heard_epoch if hears else watched.drawn_epoch)(epoch)
    watched.follower.check_end(2)
    assert watched.divergence is None and not watched.follower.is_hidden
    assert watched.follower.steps == 2 * STEPS
    assert watched.executions == (0 if hears else 2 * STEPS)  # those that no hook has told
    assert len(watched.follower.metrics) == 2
    assert watched.follower.measured == 0  # all were the same bits


@pytest.mark.parametrize("draws_first", [True, False])
@pytest.mark.parametrize("wrong_at", [None, 1, 2, STEPS + 1, 2 * STEPS])
def test_a_loop_may_say_only_when_a_batch_begins(watched, draws_first, wrong_at):
    step = 0
    for epoch in range(2):
        for number, batch in enumerate(watched.batches(epoch)):
            if draws_first:
                watched.draw(batch)
            watched.follower.on_train_batch_begin(number)
            if not draws_first:
                watched.draw(batch)
            step += 1
            for _ in range(2 if step == wrong_at else 1):
                watched.model.take(batch)
    watched.follower.check_end(2)
    assert not watched.follower.is_hidden
    if wrong_at is None:
        assert watched.divergence is None
        assert watched.follower.steps == 2 * STEPS
    else:
        assert watched.divergence.step == wrong_at
        assert watched.divergence.cause.startswith("the batch is used twice")


def test_what_changes_before_the_first_batch_begins_is_outside_of_the_steps(watched):
    watched.draw(watched.batches(0)[0])
    watched.model.trainable_variables[0].assign_add([[1.0]])
    watched.follower.on_train_batch_begin(0)
    assert watched.divergence.step == 1
    assert "before the first step" in str(watched.divergence)


@pytest.fixture(scope="module")
def averaging():
    return Bench(lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))


@pytest.mark.parametrize("hears", [True, False])
@pytest.mark.parametrize("finalises", [True, False])
def test_the_weights_become_the_averages_at_the_end_and_not_before(averaging, hears, finalises):
    watched = Watched(averaging)
    for epoch in range(2):
        (watched.heard_epoch if hears else watched.drawn_epoch)(epoch)
    assert watched.divergence is None
    assert watched.follower.measured == 0  # all were the same bits
    if finalises:  # if it draws, before its last step was looked at
        watched.model.optimizer.finalize_variable_values(watched.model.trainable_variables)
    watched.follower.check_end(2)
    assert watched.follower.steps == 2 * STEPS
    if finalises:
        assert watched.divergence is None
    else:
        assert watched.divergence.cause.startswith("EMA is not finalised")


def test_a_loop_that_draws_without_end_is_stopped(bench):
    watched = Watched(bench, most_draws=2)
    batch, *_ = watched.batches(0)
    for _ in range(2):
        watched.draw(batch)
    with pytest.raises(EndlessLoopError):
        watched.draw(batch)


@pytest.mark.parametrize("left, cause", [(1, PARTIAL_DROPPED), (2, None)])
def test_steps_that_are_missing_in_an_epoch_are_counted(watched, left, cause):
    watched.follower.on_epoch_begin(0)
    watched.heard_epoch(0, STEPS - left)
    watched.follower.on_epoch_begin(1)
    assert watched.divergence.step == STEPS - left + 1
    assert watched.divergence.what == f"{left} step(s) of epoch 1 are missing"
    assert watched.divergence.cause == cause


def test_a_training_that_ends_early_or_late_is_told(watched, bench):
    watched.heard_epoch(0)
    watched.follower.check_end(2)
    assert watched.divergence.what == "the loop ended after 3 steps, not after 6"
    assert watched.divergence.cause == "an epoch too few"
    watched = Watched(bench)
    for epoch in range(3):
        watched.heard_epoch(epoch)
    watched.follower.check_end(2)
    assert (watched.divergence.step, watched.divergence.cause) == (7, "an epoch too many")


def test_a_change_before_a_step_is_no_part_of_it(watched):
    watched.heard_epoch(0, 2)
    watched.model.optimizer.learning_rate = 0.05
    watched.follower.on_train_batch_begin(2)
    assert watched.divergence.step == 3
    assert watched.divergence.cause == "another learning rate: 0.05, not 0.1"
    watched.follower.on_train_batch_end(2)  # nothing more is looked at
    assert watched.follower.steps == 2


def test_a_change_without_hooks_is_seen_when_the_next_batch_is_drawn(watched):
    watched.drawn_epoch(0, 2)
    watched.follower.before_draw()
    watched.model.optimizer.learning_rate = 0.05
    watched.follower.before_draw()
    assert watched.divergence.step == 3
    assert watched.divergence.cause == "another learning rate: 0.05, not 0.1"


def test_a_wrong_step_is_measured_and_named(watched):
    def take(batch):
        watched.model.take(batch)
        watched.model.take(batch)

    watched.drawn_epoch(0, take=take)
    assert watched.divergence.step == 1
    assert watched.divergence.cause.startswith("the batch is used twice (")
    assert watched.follower.measured == 1 and watched.follower.share > 1


def test_updates_that_are_far_more_than_the_batches_are_hidden(watched):
    watched.drawn_epoch(0, 1)
    for _ in range(5):
        watched.model.take(watched.batches(0)[0])
    watched.follower.before_draw()
    assert watched.follower.is_hidden and watched.follower.steps == 0
    watched.follower.check_end(2)
    assert watched.follower.is_hidden and watched.divergence is None


def test_several_batches_may_be_drawn_before_their_steps_are_taken(watched, monkeypatch):
    looked_at = []
    monkeypatch.setattr(
        of_follower, "draws_outside_seeds", lambda reference, before, batch: looked_at.append(batch)
    )
    for epoch in range(2):
        for batch in watched.batches(epoch):
            watched.draw(batch)
        for batch in watched.batches(epoch):
            watched.model.take(batch)
        watched.follower.on_epoch_end(epoch)
    watched.follower.check_end(2)
    assert watched.divergence is None and not watched.follower.is_hidden
    assert (watched.follower.steps, watched.executions) == (2 * STEPS, 2)
    (first,) = looked_at  # whether a step draws by itself is the same in all
    assert np.array_equal(first[1], watched.batches(0)[0][1])


def test_more_steps_than_the_epoch_has_left_are_hidden(watched):
    batches = [*watched.batches(0), *watched.batches(1)]
    watched.take_at_once(batches)
    watched.follower.on_epoch_end(0)
    assert watched.follower.is_hidden


def test_weights_that_nothing_changed_are_no_training(watched):
    watched.follower.check_end(2)
    assert not watched.follower.is_hidden and watched.follower.steps == 0
    assert watched.divergence is None


def test_not_every_execution_is_measured(bench, monkeypatch):
    """Steps that differ in their bits: all until step 2, then every other, and the last of an epoch."""
    monkeypatch.setattr(of_follower, "MEASURE_ALL_UNTIL", 2)
    monkeypatch.setattr(of_follower, "MEASURE_EVERY", 4)
    watched = Watched(bench)

    def take(batch):
        watched.model.take(batch)
        kernel = watched.model.layers[0].kernel
        kernel.assign(np.nextafter(kernel.numpy(), np.float32(9)))

    for epoch in range(2):
        watched.drawn_epoch(epoch, take=take)
    watched.follower.check_end(2)
    assert watched.divergence is None
    assert watched.follower.measured == 5  # the steps 1, 2, 3, 4 and 6
    assert 0 < watched.follower.share <= 1


def test_metrics_that_the_end_of_an_epoch_tells_are_compared(watched):
    watched.model.reset_metrics()
    watched.drawn_epoch(0)
    logs = {name: float(value) for name, value in watched.model.get_metrics_result().items()}
    watched.follower.on_epoch_end(0, logs)
    assert watched.divergence is None
    watched.drawn_epoch(1)
    watched.follower.on_epoch_end(1, logs)  # of the epoch before
    assert (watched.divergence.step, watched.divergence.what) == (6, "metric loss of the epoch")


class Hears(keras.callbacks.Callback):
    """Notes what it hears."""

    def __init__(self, heard):
        super().__init__()
        self._heard = heard

    def on_epoch_begin(self, epoch, logs=None):
        self._heard.append(f"epoch {epoch} of {self.params['epochs']}")

    def on_train_batch_begin(self, batch, logs=None):
        self._heard.append(f"begin {batch}")

    def on_train_batch_end(self, batch, logs=None):
        self._heard.append(f"end {batch}")
        assert logs["loss"] > 0

    def on_epoch_end(self, epoch, logs=None):
        self._heard.append("end")


@pytest.mark.parametrize("hears", [True, False])
def test_the_callbacks_of_the_reference_hear_what_those_of_fit_hear(hears):
    heard = []
    watched = Watched(Bench(callbacks=lambda: [Hears(heard)]))
    for epoch in range(2):
        (watched.heard_epoch if hears else watched.drawn_epoch)(epoch)
    watched.follower.check_end(2)
    steps = [f"{what} {number}" for number in range(STEPS) for what in ("begin", "end")]
    assert heard == ["epoch 0 of 2", *steps, "end", "epoch 1 of 2", *steps, "end"]


class Stops(keras.callbacks.Callback):
    """Stops at the end of the first epoch."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


def test_a_loop_that_goes_on_although_a_callback_stops_it():
    bench = Bench(callbacks=lambda: [Stops()])
    watched = Watched(bench)
    watched.heard_epoch(0)
    watched.follower.on_epoch_end(0)
    watched.follower.check_end(2)
    assert watched.divergence is None  # it stops where `fit` does

    watched = Watched(bench)
    watched.heard_epoch(0)
    watched.heard_epoch(1, 1)
    assert watched.divergence.step == 4
    assert (
        watched.divergence.what == "the loop goes on after step 3, though a callback set stop_training"
    )
    assert watched.divergence.cause == "the loop ignores its callbacks"


def test_batches_that_are_left_over_when_gradients_are_accumulated():
    bench = Bench(lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=4))
    watched = Watched(bench)
    own, variables = keras.optimizers.SGD(0.1), watched.model.trainable_variables
    sums = [0.0] * len(variables)
    with watched.own:
        for number, batch in enumerate([*watched.batches(0), *watched.batches(1)], 1):
            watched.draw(batch)
            sums = [a + b for a, b in zip(sums, own_gradients(watched.model, batch), strict=True)]
            if number % 4 == 0:
                own.apply([each / 4 for each in sums], variables)
    watched.follower.check_end(2)
    assert watched.divergence is None
    assert watched.follower.steps == 2 * STEPS  # four of an update, and two that wait for theirs


def test_the_last_step_of_an_epoch_is_seen_when_the_next_one_begins(watched):
    for epoch in range(2):
        watched.follower.on_epoch_begin(epoch)
        assert watched.follower.steps == epoch * STEPS
        watched.drawn_epoch(epoch)
    assert watched.executions == 2 * STEPS - 1
    watched.follower.on_epoch_end(1)
    assert watched.executions == watched.follower.steps == 2 * STEPS
    assert watched.divergence is None


def test_a_change_before_a_batch_was_drawn_may_be_a_step_that_is_hidden(watched):
    watched.model.layers[0].kernel.assign_add(np.ones((6, 8)))
    watched.follower.on_epoch_begin(0)
    assert watched.follower.is_hidden and watched.divergence is None


def test_a_change_after_a_step_is_one_outside_of_the_steps(watched):
    watched.drawn_epoch(0)
    watched.follower.on_epoch_end(0)
    watched.model.layers[0].kernel.assign_add(np.ones((6, 8)))
    watched.follower.on_epoch_begin(1)
    assert not watched.follower.is_hidden
    assert watched.divergence.step == STEPS + 1
    assert watched.divergence.what.endswith("changed between the steps 3 and 4,")


def test_more_steps_than_a_later_epoch_has_left_are_hidden_too(watched):
    watched.drawn_epoch(0)
    batches = [*watched.batches(1), *watched.batches(2)]
    watched.take_at_once(batches)
    watched.follower.on_epoch_begin(3)
    assert watched.follower.is_hidden and watched.follower.steps == STEPS


def test_the_rest_of_an_epoch_may_be_taken_at_once(watched):
    watched.drawn_epoch(0, 1)
    rest = watched.batches(0)[1:]
    for batch in rest:
        watched.draw(batch)
    for batch in rest:
        watched.model.take(batch)
    watched.follower.on_epoch_end(0)
    assert watched.divergence is None and not watched.follower.is_hidden
    assert (watched.follower.steps, watched.executions) == (STEPS, 2)


def test_which_executions_are_measured(watched):
    """All until step 100, then every 20th, and the last one of an epoch."""
    follower, measured = watched.follower, []
    for step in range(97, 130):
        follower._next_step, follower._executions = step, step - 5
        if follower._is_measured():
            measured.append(step)
    of_epochs = range(102, 130, STEPS)
    assert measured == sorted({*range(97, 101), 105, 125, *of_epochs})


def test_what_changes_no_weight_and_is_no_update_is_no_execution(watched):
    """More batches make an update: until then, only statistics and seeds move."""
    batch, *_ = watched.batches(0)
    watched.draw(batch)
    watched.model.optimizer.learning_rate = 0.05
    watched.follower.before_draw()
    assert (watched.follower.steps, watched.executions) == (0, 0)
    assert watched.divergence is None and not watched.follower.is_hidden


def test_callbacks_hear_the_steps_that_wait_for_their_update(watched, monkeypatch):
    heard, reference = [], watched.bench.rounding.reference
    monkeypatch.setattr(reference, "hear", lambda at, *said: heard.append(said) or at)
    watched.follower._begin_epoch()
    watched.follower._pass(2)
    assert heard == [("epoch_begin", 0), ("train_batch_begin", 0), ("train_batch_end", 1, {})]
    assert (watched.follower.steps, watched.follower._in_epoch) == (2, 2)
    assert watched.follower.metrics[0]._batch_sizes == [16]


def test_what_an_optimizer_of_the_loops_own_keeps_is_noted_after_each_step(watched, monkeypatch):
    monkeypatch.setattr(watched.follower, "_is_measured", lambda: False)
    own, variables = keras.optimizers.SGD(0.1, momentum=0.5), watched.model.trainable_variables
    noted = []
    with watched.own:
        for batch in watched.batches(0)[:2]:
            watched.draw(batch)
            own.apply(own_gradients(watched.model, batch), variables)
            watched.follower.before_draw()
            noted.append(watched.follower._slots)
            assert same(noted[-1], values(own.variables))
    assert watched.follower.steps == 2 and watched.follower.has_own_optimizer
    assert not same(*noted)


@pytest.mark.parametrize(
    "drawn, seen",
    [
        (1, [0, 1, 2]),
        (2, [0, 1, 2, 3, 4]),
        (3, [1, 3]),
        (5, [1, 5]),
    ],
)
def test_how_many_updates_may_be_those_of_the_batches_that_were_drawn(watched, drawn, seen):
    for drawing in (True, False):
        taken = [taken for taken in range(8) if watched.follower._is_seen(taken, drawn, drawing)]
        assert taken == seen


@pytest.mark.parametrize("drawing, steps, seen", [(True, 0, [0]), (False, 1, [0]), (False, 0, [])])
def test_without_a_batch_there_is_no_update(watched, drawing, steps, seen):
    watched.follower.steps = steps
    assert [taken for taken in range(4) if watched.follower._is_seen(taken, 0, drawing)] == seen


def test_an_accumulating_optimizer_says_how_many_batches_make_an_update():
    def batches_an_update(optimizer):
        model = kinds.plain(optimizer)
        made = types.SimpleNamespace(
            reference=types.SimpleNamespace(weights=4, hear=lambda at, hook: at)
        )
        return Follower(made, None, [], model, OwnOptimizers(model))._batches_an_update

    sgd = keras.optimizers.SGD
    assert batches_an_update(sgd(0.1)) == 1
    assert batches_an_update(sgd(0.1, gradient_accumulation_steps=3)) == 3
    inner = sgd(0.1, gradient_accumulation_steps=2)
    assert batches_an_update(keras.optimizers.LossScaleOptimizer(inner)) == 2
