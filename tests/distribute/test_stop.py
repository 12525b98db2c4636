"""The workers ask each other for signals, and act on one after the same step."""

import signal

import pytest

from kerasmlp.callbacks import Interrupted, Interruption
from kerasmlp.distribute.stop import StopTogether
from kerasmlp.distribute.strategy import Distribution


class Worker(Distribution):
    """One of two workers, that hears of no other: it gets back what it gives, and counts how often."""

    exchanges = 0

    def exchange(self, value):
        Worker.exchanges += 1
        return [0, value]


class Other(Worker):
    worker = 1


@pytest.fixture
def begun():
    """A function that begins an epoch of 120 steps, and returns the callback and its interruption."""

    def begun(workers):
        Worker.exchanges = 0
        interruption = Interruption(shared=True)
        stop = StopTogether(workers, interruption)
        stop.set_params({"steps": 120})
        stop.on_epoch_begin(0)
        return stop, interruption

    return begun


def test_signals_are_exchanged_after_each_50_steps_and_at_the_end(begun):
    stop, _ = begun(Worker())
    counts = []
    for last in range(3, 120, 4):
        stop.on_train_batch_end(last)
        counts.append(Worker.exchanges)
    assert counts == [0] * 12 + [1] * 12 + [2] * 5 + [3]


def test_the_chief_goes_on_to_save_and_the_others_stop(begun):
    stop, interruption = begun(Worker())
    interruption.noted = signal.SIGTERM
    stop.on_train_batch_end(48)
    assert interruption.received is None
    stop.on_train_batch_end(49)
    assert interruption.received == signal.SIGTERM
    stop, interruption = begun(Other())
    interruption.noted = signal.SIGINT
    with pytest.raises(Interrupted, match="worker 1: interrupted") as caught:
        stop.on_train_batch_end(119)
    assert caught.value.status == 130
