"""What both checks of a loop share: which optimizer it uses, and what is measured."""

import types

import keras
import numpy as np
import pytest

from bench import Bench
from kerasmlp.comparison.checker import Checker
from kerasmlp.comparison.reference import own_gradients, state, values
from kerasmlp.comparison.rounding import StepBound
from kerasmlp.comparison.verdict import same
from kerasmlp.comparison.watching import OwnOptimizers


@pytest.fixture(scope="module")
def bench():
    return Bench(lambda: keras.optimizers.SGD(0.1, momentum=0.9))


class Checked:
    """A checker, and the model that it checks, in its initial state."""

    def __init__(self, bench):
        bench.start()
        self.bench, self.model = bench, bench.model
        self.own = OwnOptimizers(bench.model)
        self.checker = Checker(bench.rounding, bench.train, bench.initial, bench.model, self.own)
        self.batch = bench.train.first_batch()
        self.weights = len(self.model.variables)

    def step(self, optimizer):
        with self.own:
            gradients = own_gradients(self.model, self.batch)
            optimizer.apply(gradients, self.model.trainable_variables)
        return state(self.model)

    def right(self):
        before = self.bench.initial
        expected = self.bench.rounding.reference.train(before, [self.batch])
        return StepBound(self.bench.rounding, before, [self.batch], expected)


@pytest.fixture
def checked(bench):
    return Checked(bench)


def test_before_its_first_step_nothing_is_known_of_a_loop(checked):
    checker = checked.checker
    assert (checker.steps, checker.measured, checker.share) == (0, 0, 0.0)
    assert (checker.divergence, checker.undecided, checker.metrics) == (None, None, [])
    assert checker.has_own_optimizer is False


def test_a_loop_that_uses_the_compiled_optimizer(checked):
    after = checked.step(checked.model.optimizer)
    checked.checker._find_own_optimizer(checked.bench.initial, after)
    assert not checked.checker.has_own_optimizer
    assert checked.checker._compared is None
    assert checked.checker._used_optimizer is checked.model.optimizer
    expected = [value.copy() for value in after]
    expected[-1] = expected[-1] + 1
    assert not checked.checker._agrees(expected, after)
    assert checked.checker._with_right_optimizer(after, expected) is after


def test_a_loop_with_its_own_optimizer_leaves_that_of_the_model_as_it_was(checked):
    own = keras.optimizers.SGD(0.1, momentum=0.9)
    after = checked.step(own)
    checked.checker._find_own_optimizer(checked.bench.initial, after)
    checker = checked.checker
    assert checker.has_own_optimizer and checker._compared == checked.weights
    assert checker._used_optimizer is own
    expected = [value.copy() for value in after]
    expected[-1] = expected[-1] + 1
    assert checker._agrees(expected, after)  # only the weights count
    expected[0] = expected[0] + 1
    assert not checker._agrees(expected, after)


def test_a_loop_that_trains_by_hand_has_an_optimizer_that_is_none_of_keras(checked):
    checked.model.layers[0].kernel.assign_add(np.ones((6, 8)))
    checked.checker._find_own_optimizer(checked.bench.initial, state(checked.model))
    assert checked.checker.has_own_optimizer
    assert checked.checker._used_optimizer is None
    checked.checker._note_slots()
    assert checked.checker._slots == []
    after, right = state(checked.model), checked.right()
    found = checked.checker._with_right_optimizer(after, right.expected)
    assert same(found, [*after[: checked.weights], *right.expected[checked.weights :]])
    evidence = checked.checker._experiment(right, after).evidence
    assert evidence.optimizer is None and evidence.received is after


def test_an_optimizer_that_moves_nothing_is_the_loops_and_of_several_the_newest_is_used(checked):
    still, newest = keras.optimizers.SGD(0.0), keras.optimizers.Adam(0.0)
    checked.step(still)
    after = checked.step(newest)
    checker, right = checked.checker, checked.right()
    checker._find_own_optimizer(checked.bench.initial, after)
    assert checker.has_own_optimizer and checker._used_optimizer is newest
    # It has other variables than the compiled one, so these are taken from before the step.
    evidence = checker._experiment(right, after).evidence
    assert same(evidence.received, [*after[: checked.weights], *right.before[checked.weights :]])


def test_a_changed_learning_rate_alone_is_no_use_of_the_optimizer(checked):
    checked.model.optimizer.learning_rate = 0.5
    checked.checker._find_own_optimizer(checked.bench.initial, state(checked.model))
    assert not checked.checker.has_own_optimizer  # nothing was trained
    checked.model.layers[0].kernel.assign_add(np.ones((6, 8)))
    checked.checker._find_own_optimizer(checked.bench.initial, state(checked.model))
    assert checked.checker.has_own_optimizer


def test_what_the_loops_optimizer_keeps_takes_the_place_of_the_references(checked):
    """The velocities and the counter are alike; a learning rate is not, nor another shape.

    Keras has given the layers of the two models other names.
    """
    own = keras.optimizers.SGD(0.25, momentum=0.5)
    after = checked.step(own)
    checker = checked.checker
    checker._find_own_optimizer(checked.bench.initial, after)
    checker._note_slots()
    assert same(checker._slots, values(own.variables))
    right = checked.bench.rounding.reference.train(checked.bench.initial, [checked.batch])
    found = checker._with_right_optimizer(after, right)
    assert same(found[: checked.weights], after[: checked.weights])
    velocities = [value.numpy() for value in own.variables[2:]]
    assert same(found[checked.weights + 2 :], velocities)
    assert not same(velocities, right[checked.weights + 2 :])
    paths, weights = checked.bench.rounding.reference.paths, checked.weights
    alike = [types.SimpleNamespace(path=f"own/{path.rpartition('/')[2]}") for path in paths[weights:]]
    checker._slots_of = types.SimpleNamespace(variables=alike)
    checker._slots = [value + 1 for value in right[weights:]]
    last = len(alike) - 1
    checker._slots[last] = np.zeros(7, np.float32)
    found = checker._with_right_optimizer(after, right)
    assert same(found[:weights], after[:weights])
    assert [path.endswith("momentum") for path in paths[weights:]] == [False] * 2 + [True] * 4
    for number, value in enumerate(found[weights:]):
        is_kept = number in (2, 3, 4)
        assert np.array_equal(value, right[weights + number] + is_kept), paths[weights + number]


def test_an_execution_is_measured_and_its_cause_is_looked_for_only_if_it_is_wrong(checked):
    right, looked = checked.right(), []
    nearly = [value.copy() for value in right.expected]
    nearly[0] = np.nextafter(nearly[0], np.float32(9))
    assert checked.checker.share == 0
    checked.checker._measure(4, right, nearly, lambda: looked.append("cause"))
    assert (checked.checker.measured, checked.checker.divergence, looked) == (1, None, [])
    assert 0 < checked.checker.share <= 1

    wrong = [value.copy() for value in right.expected]
    wrong[0] = wrong[0] + 1
    checked.checker._measure(5, right, wrong, lambda: looked.append("cause") or "a mistake")
    divergence = checked.checker.divergence
    assert (checked.checker.measured, looked) == (2, ["cause"])
    assert (divergence.step, divergence.cause) == (5, "a mistake")
    assert divergence.size == pytest.approx(1.0, abs=1e-3)
    assert checked.checker.share > 1
    share = checked.checker.share
    checked.checker._measure(6, right, nearly, lambda: None)
    assert checked.checker.share == share  # the largest one
    checked.checker._measure(6, right, wrong, lambda: None)
    assert checked.checker.divergence.cause is None


@pytest.mark.parametrize("has_own", [True, False])
def test_the_evidence_of_a_wrong_execution(checked, has_own):
    own = keras.optimizers.SGD(0.3, momentum=0.5) if has_own else checked.model.optimizer
    after = checked.step(own)
    checker, right = checked.checker, checked.right()
    checker._find_own_optimizer(checked.bench.initial, after)
    experiment = checker._experiment(right, after, drawn=["drawn"])
    evidence = experiment.evidence
    assert (experiment.right, experiment.received) == (right, after)
    assert experiment.compared == (checked.weights if has_own else None)
    assert evidence.optimizer is own and evidence.drawn == ["drawn"]
    assert (evidence.has_own_optimizer, evidence.is_new) == (has_own, has_own)
    assert same(evidence.received[: checked.weights], after[: checked.weights])
    assert same(evidence.received[checked.weights :], values(own.variables))
    assert evidence.unheard is right.before
    # Before its first step, an optimizer of the loop's own has what it was built with.
    zeros = [value for value in evidence.slots if value.ndim]
    assert zeros and not any(value.any() for value in zeros)
    checker._note_slots()
    again = checker._experiment(right, after, unheard=["unheard"]).evidence
    assert again.is_new is False and again.unheard == ["unheard"]
    moved = [value for value in again.slots if value.ndim]
    assert any(value.any() for value in moved) == has_own
