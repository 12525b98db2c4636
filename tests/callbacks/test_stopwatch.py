import pytest

from kerasmlp.callbacks import stopwatch
from kerasmlp.callbacks.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: Clock.now)
    return Clock


class Model:
    train_function = None


def drive(watch, clock, epochs, *, steps=10, group=2, function=None):
    """Call the hooks of a training. The first execution takes 30 s, each other step 1 s.

    After the first hooks 3 s pass, and after the steps of each epoch 500 s, for the validation.
    """
    watch.set_params({"steps": steps, "epochs": epochs})
    watch.set_model(Model())
    watch.model.train_function = function
    watch.on_train_begin()
    clock.now += 3
    for epoch in range(epochs):
        watch.on_epoch_begin(epoch)
        for first in range(0, steps, group):
            watch.on_train_batch_begin(first)
            clock.now += 30 if epoch == first == 0 else min(group, steps - first)
            watch.on_train_batch_end(first + group - 1)
        clock.now += 500
        watch.on_epoch_end(epoch)


@pytest.mark.parametrize("group", [1, 2, 4])
def test_the_first_execution_and_the_validation_do_not_count(clock, group):
    watch = Stopwatch(examples_per_step=50)
    drive(watch, clock, 3, group=group)
    assert watch.seconds_to_first_step == 33
    assert watch.seconds_per_step == [1, 1, 1]
    assert watch.seconds_per_epoch == 10
    assert watch.examples_per_second == 50


def test_the_first_execution_counts_if_it_is_the_whole_epoch(clock):
    watch = Stopwatch(examples_per_step=50)
    drive(watch, clock, 1, group=20)
    assert watch.seconds_per_epoch == 30


@pytest.mark.parametrize("group", [2, 20])
def test_known_times_to_trace_and_to_compile_do_not_count(group, clock):
    class Program:
        seconds_to_trace = 2.0
        seconds_to_compile = 7.0

    watch = Stopwatch(examples_per_step=50)
    drive(watch, clock, 1, group=group, function=Program)
    assert (watch.seconds_to_trace, watch.seconds_to_compile) == (2, 7)
    assert watch.seconds_per_epoch == 30 - 9 + (8 if group == 2 else 0)


def test_the_speed_is_that_of_the_last_epoch_and_the_time_that_of_the_median(clock):
    watch = Stopwatch(examples_per_step=50)
    watch.set_params({"steps": 10})
    watch.seconds_per_step = [5.0, 1.0, 2.0]
    assert watch.examples_per_second == 25
    assert watch.seconds_per_epoch == 20
