"""The end of a whole training, and how far rounding may move it."""

import math
import types

import numpy as np
import pytest

from kerasmlp.comparison import whole_run
from kerasmlp.comparison.whole_run import Ended, WholeRun

DISTANCE = 8 * math.sqrt(64) * 2.0**-24
KERNEL = np.linspace(1, 2, 10_000, dtype=np.float32)
SEED = np.array([5, 6], np.uint32)
RATE = np.float32(0.5)


class Metrics:
    """The metrics of an epoch, which the kernel moves."""

    def __init__(self, kernel):
        self.results, self.spread = {"loss": float(kernel[0])}, {}


class Known:
    """A rounding of a reference whose training is known: it triples the kernel in nine steps."""

    unit_roundoff, longest_sum = 2.0**-24, 64

    def __init__(self, monkeypatch):
        self.reference = types.SimpleNamespace(
            paths=["kernel", "seed", "rate"],
            weights=2,
            finalize=lambda state: [*state[:2], state[2] + 1],
            hear=lambda state, hook: [state[0], state[1] + 1, state[2]] if hook == "train_end" else 0,
        )
        self.trained = []
        monkeypatch.setattr(whole_run, "train", self.train)

    def train(self, reference, data, epochs, initial):
        assert (reference, data, epochs) == (self.reference, "data", 3)
        self.trained.append(initial)
        kernel, *others = initial
        return Ended([3 * kernel, *others], [Metrics(kernel)], 9)


@pytest.fixture
def known(monkeypatch):
    return Known(monkeypatch)


@pytest.fixture
def run(known):
    return WholeRun(known, "data", 3, [KERNEL, SEED, RATE])


def test_only_the_weights_are_moved_and_by_what_rounding_may_move(known, run):
    right, *moved = known.trained
    assert right[0] is KERNEL and len(moved) == 3
    changes = [kernel.astype(float) / KERNEL - 1 for kernel, _, _ in moved]
    for change in changes:
        assert change.std() == pytest.approx(DISTANCE, rel=0.05)
        assert abs(change.mean()) < DISTANCE / 20
    assert abs(np.corrcoef(changes)[0, 1]) < 0.1
    for kernel, seed, rate in moved:
        assert kernel.dtype == np.float32
        assert seed is SEED and rate is RATE


def test_the_end_is_that_of_fit(run):
    assert np.array_equal(run.final[0], 3 * KERNEL)
    assert np.array_equal(run.final[1], SEED + 1)  # a callback heard the end
    assert run.final[2] == RATE + 1  # it is finalised
    assert run.steps == 9 and len(run.metrics) == 1


def test_the_bound_is_what_moved_weights_move_and_the_rounding_of_each_number(known, run):
    gaps = [3 * kernel.astype(float) - 3 * KERNEL for kernel, _, _ in known.trained[1:]]
    moved = np.sqrt(np.mean(np.square(gaps), axis=0))
    bounds = 3 * (moved + DISTANCE * (3 * KERNEL + 2 * KERNEL)), 0, 3 * DISTANCE * RATE
    np.testing.assert_allclose(run._bounds[0], bounds[0], rtol=1e-2)
    assert run._bounds[2] == pytest.approx(bounds[2])
    for number in (0, 2):
        for share, is_rounding in ((0.9, True), (1.1, False)):
            found = [value.astype(float) for value in run.final]
            found[number] = found[number] + share * run._bounds[number]
            deviation = run.deviation(found, None)
            assert deviation.is_rounding == is_rounding
            assert deviation.variable == known.reference.paths[number]
    assert run.deviation(found, 2).share == 0.0  # the rate is not compared
    assert run.deviation(found, 2).variable == "kernel"


def test_metrics_may_differ_by_twice_what_moved_weights_move_for_each_root_of_a_step(known, run):
    gaps = [abs(float(kernel[0]) - float(KERNEL[0])) for kernel, _, _ in known.trained[1:]]
    assert run.metrics[0].spread == {"loss": pytest.approx(2 * 3 * max(gaps))}
    assert max(gaps) > 0


@pytest.mark.parametrize("shares, telling", [([0.09], True), ([0.11], False), ([0.5, 0.01, 0.02], True)])
def test_an_end_tells_something_if_its_bound_is_a_tenth_of_what_changed(run, shares, telling):
    initial = [np.full(3, 10.0) for _ in shares]
    final = [np.array([11.0, 6.0, 12.0]) for _ in shares]
    bounds = [np.array([9.0, 4 * share, 0.0]) for share in shares]
    unchanged, counter, nothing = np.zeros(3), np.array([3]), np.zeros(0)
    run._initial = [*initial, unchanged, counter, nothing]
    run.final = [*final, unchanged, counter + 1, nothing]
    run._bounds = [*bounds, unchanged + 9, counter * 0.0, nothing]
    assert run.is_telling is telling
    run._initial, run.final, run._bounds = [unchanged], [unchanged], [unchanged]
    assert run.is_telling is False  # nothing has changed


def test_an_end_at_the_limit_is_telling(run):
    run._initial, run.final, run._bounds = [np.zeros(1)], [np.ones(1)], [np.full(1, 0.1)]
    assert run.is_telling


class Heard:
    """A reference that notes what it hears and takes; its state is how much that was."""

    def __init__(self, stops_after=None):
        self.events, self._stops_after = [], stops_after
        self.model = types.SimpleNamespace(
            metrics_variables=[],
            stop_training=False,
            reset_metrics=lambda: self.events.append("reset"),
            get_metrics_result=dict,
        )
        self.drives = stops_after is not None

    def hear(self, at, hook, *arguments):
        self.events.append((hook, *arguments))
        self.model.stop_training = (hook, *arguments[:1]) == ("epoch_end", self._stops_after)
        return at + 1

    def train(self, before, batches):
        self.events.append(("train", before, batches))
        return before + 100

    def validate(self, at):
        return at + 1000, {"val_loss": at}


class Data:
    @staticmethod
    def epoch(number):
        return [(np.zeros(2), number), (np.zeros(1), number)]


def test_the_reference_trains_as_fit_does():
    heard = Heard()
    ended = whole_run.train(heard, Data, 2, 0)
    of_epoch = [("epoch_begin", 0), "reset"]
    assert sorted(map(str, heard.events[1:3])) == sorted(map(str, of_epoch))
    hooks = [each[0] for each in heard.events if each != "reset"]
    steps = ["train_batch_begin", "train", "train_batch_end"] * 2
    assert hooks == ["train_begin", *(["epoch_begin", *steps, "epoch_end"] * 2)]
    assert heard.events[3:9:3] == [("train_batch_begin", 0), ("train_batch_begin", 1)]
    assert heard.events[5:9:3] == [("train_batch_end", 0, {}), ("train_batch_end", 1, {})]
    assert [event[1] for event in heard.events if event[0] == "train"] == [3, 105, 1209, 1311]
    ends = [event for event in heard.events if event[0] == "epoch_end"]
    assert heard.events[9] == ends[0] and ends == [
        ("epoch_end", 0, {"val_loss": 206}),
        ("epoch_end", 1, {"val_loss": 1412}),
    ]
    assert heard.events[10:12] == ["reset", ("epoch_begin", 1)]
    assert (ended.final, ended.steps, len(ended.metrics)) == (2413, 4, 2)
    assert [each._batch_sizes for each in ended.metrics] == [[2, 1], [2, 1]]
    assert [each._begin for each in ended.metrics] == [3, 1209]
    assert [[y for _, y in each._batches()] for each in ended.metrics] == [[0, 0], [1, 1]]


@pytest.mark.parametrize("stops_after, epochs", [(None, 3), (1, 2), (0, 1)])
def test_a_callback_may_stop_the_training(stops_after, epochs):
    ended = whole_run.train(Heard(stops_after), Data, 3, 0)
    assert (len(ended.metrics), ended.steps) == (epochs, 2 * epochs)
