"""A wrong step is explained by the mistakes that end where it ends, and by no other."""

import types

import keras
import numpy as np
import pytest

from bench import Bench
from kerasmlp.comparison import causes
from kerasmlp.comparison.causes import FAR, NEAR, Cause, Experiment
from kerasmlp.comparison.reference import RIGHT, Step, own_gradients
from kerasmlp.comparison.rounding import StepBound
from kerasmlp.comparison.wrong_steps import WrongStep


def times(factor):
    """The step with so many times the gradients."""
    return Step(lambda *of: [factor * each for each in own_gradients(*of)])


class Step2:
    """The second step of a training: the right one, and what an experiment says of a wrong one."""

    def __init__(self):
        bench = Bench()
        self.rounding, self.reference = bench.rounding, bench.rounding.reference
        first, self.batch, _ = bench.train.epoch(0)
        self.before = self.reference.train(bench.initial, [first])
        self.other_batch = first
        self.right = self.bound([self.batch])

    def bound(self, batches):
        return StepBound(self.rounding, self.before, batches, self.reference.train(self.before, batches))

    def after(self, step):
        return self.reference.take(step, self.before, [self.batch])

    def cause(self, received, others=(), right=None, compared=None):
        return Experiment(right or self.right, received, None, compared).find_cause(others)


@pytest.fixture(scope="module")
def step():
    return Step2()


@pytest.fixture
def known(monkeypatch):
    """Sets the mistakes that are known: (kind, name, step)."""

    def set_known(*mistakes):
        found = [WrongStep(*each) if isinstance(each, tuple) else each for each in mistakes]
        monkeypatch.setattr(causes, "wrong_steps", lambda evidence: iter(found))

    return set_known


def test_a_mistake_that_gives_the_same_bits_is_certain(step, known):
    known(("half", "half of them", times(0.5)), ("twice", "twice as much", times(2.0)))
    cause = step.cause(step.after(times(2.0)))
    assert cause == Cause(("twice as much",), exact=True)
    assert str(cause) == "twice as much (certain: it gives the loop's step bit for bit)"


def nudged(state, share):
    """The state with each weight changed by so much of itself."""
    return [
        value * np.float32(1 + share) if value.dtype.kind == "f" and value.ndim == 2 else value
        for value in state
    ]


def test_a_mistake_that_gives_it_within_rounding_is_very_likely(step, known):
    known(("twice", "twice as much", times(2.0)))
    cause = step.cause(nudged(step.after(times(2.0)), 2e-7))
    assert cause == Cause(("twice as much",), exact=False)
    assert str(cause) == "twice as much (very likely: it gives the loop's step within rounding)"


def test_an_exact_cause_is_preferred_to_those_within_rounding(step, known):
    known(("nearly", "nearly", times(2.0 + 3e-7)), ("twice", "twice as much", times(2.0)))
    assert step.cause(step.after(times(2.0))) == Cause(("twice as much",), exact=True)


def test_all_kinds_that_explain_it_are_named_and_the_first_of_each(step, known):
    known(
        ("factor", "first", times(2.0)),
        ("factor", "second", times(2.0)),
        ("update", "third", times(2.0)),
    )
    cause = step.cause(step.after(times(2.0)))
    assert cause.names == ("first", "third")
    assert str(cause) == "first; or third (each of them gives the loop's step bit for bit)"


def test_two_mistakes_together_are_named_only_if_neither_is_it_alone(step, known):
    together = ("training and penalties", "both", times(2.0))
    known(("training", "one", times(2.0)), together)
    assert step.cause(step.after(times(2.0))).names == ("one",)
    known(("penalties", "other", times(2.0)), together)
    assert step.cause(step.after(times(2.0))).names == ("other",)
    known(("training", "one", times(3.0)), together)
    assert step.cause(step.after(times(2.0))).names == ("both",)


def test_what_is_no_mistake_in_this_step_explains_nothing(step, known):
    """It ends where the right step ends: then it is no cause of anything."""
    known(("nothing", "nothing", RIGHT), ("little", "little", times(1 + 1e-7)))
    assert step.cause(step.right.expected) is None
    assert step.cause(step.after(times(2.0))) is None


def test_a_mistake_that_is_not_possible_is_left_out(step, known):
    def fails(*_):
        raise ValueError("not with this model")

    known(("no", "impossible", Step(fails)), ("twice", "twice as much", times(2.0)))
    assert step.cause(step.after(times(2.0))).names == ("twice as much",)


@pytest.mark.parametrize("inside", [True, False])
def test_another_formula_of_the_same_loss_may_be_a_few_bounds_away(step, known, inside):
    """A step that is near a mistake, and far from the right one."""
    known(("twice", "twice as much", times(2.0)))
    after = step.after(times(2.0))
    bound = StepBound(step.rounding, step.before, [step.batch], after, times(2.0))
    bound.deviation(after)
    number = next(n for n, path in enumerate(step.reference.paths) if path.endswith("kernel"))
    assert NEAR == 16
    far = 16 * (0.95 if inside else 1.03)
    received = [value.copy() for value in after]
    received[number] = (after[number] + far * bound.bounds()[number]).astype(np.float32)
    assert step.right.deviation(received).share > FAR * NEAR
    assert step.cause(received) == (Cause(("twice as much",), exact=False) if inside else None)


@pytest.mark.parametrize(
    "share, of_right, fits",
    [
        (1.0, 2.0, True),
        (1.01, 2.0, False),
        (1.01, 101.0, True),
        (2.0, 200.0, True),
        (2.0, 199.0, False),
        (16.0, 1600.0, True),
        (16.1, 9e9, False),
    ],
)
def test_how_near_a_mistake_must_be_and_how_far_the_right_step(share, of_right, fits, monkeypatch):
    monkeypatch.setattr(causes, "StepBound", lambda *of: types.SimpleNamespace(deviation=near))
    after, received = [np.zeros(1)], [np.ones(1)]

    def near(state, compared):
        assert state is received
        return types.SimpleNamespace(share=share)

    def far(state, compared):
        return types.SimpleNamespace(share=of_right, is_rounding=False)

    reference = types.SimpleNamespace(take=lambda step, before, batches: after)
    rounding = types.SimpleNamespace(reference=reference)
    right = types.SimpleNamespace(
        rounding=rounding, before=[], batches=[], deviation=far, are_far_apart=lambda *_: False
    )
    found = Experiment(right, received, None)._test(WrongStep("kind", "name"))
    assert found is (False if fits else None)
    after[0] = received[0]
    assert Experiment(right, received, None)._test(WrongStep("kind", "name")) is True
    right.are_far_apart = lambda *_: True
    assert Experiment(right, received, None)._test(WrongStep("kind", "name")) is None


def test_other_batches_are_tried_last(step, known):
    known()
    received = step.reference.take(RIGHT, step.before, [step.other_batch])
    others = [("unlike", [step.batch]), ("the first batch", [step.other_batch]), ("again", [])]
    assert step.cause(received, others) == Cause(("the first batch",), exact=True)
    assert step.cause(received) is None
    known(("same", "what is known", RIGHT, [step.other_batch]))
    assert step.cause(received, others).names == ("what is known",)
    two = step.bound([step.batch, step.batch])  # of an execution of two steps, the batches are not known
    known()
    assert step.cause(received, others, right=two) is None


def test_of_a_loop_with_its_own_optimizer_only_the_weights_are_compared(step, known):
    known(("twice", "twice as much", times(2.0)))
    weights = step.reference.weights
    received = [*step.after(times(2.0))[:weights], *step.before[weights:]]
    cause = step.cause(received, compared=weights)
    assert cause == Cause(("with the loop's own optimizer, twice as much",), exact=True)
    assert step.cause(received) is None  # else its counter is wrong too


def test_a_mistake_may_start_from_another_state(step, known):
    def reset(right):
        return [value * 0 if value.dtype.kind == "f" and value.ndim == 2 else value for value in right]

    known(WrongStep("reset", "weights are set to 0", before=reset))
    received = step.reference.take(RIGHT, reset(step.before), [step.batch])
    assert step.cause(received) == Cause(("weights are set to 0",), exact=True)


def test_of_a_model_with_its_own_step_only_its_state_and_data_may_be_wrong(monkeypatch):
    parts = ("losses", "updates", "variables", "data")
    named = [f"with_other_{part}" for part in parts]
    named.insert(3, "with_forward_passes")
    for name in named:
        monkeypatch.setattr(causes, name, lambda evidence, name=name: iter([name]))
    evidence = type("Evidence", (), {"model": keras.Model()})
    assert list(causes.wrong_steps(evidence)) == named
    monkeypatch.setattr(causes, "has_own_step", lambda model: True)
    assert list(causes.wrong_steps(evidence)) == ["with_other_variables", "with_other_data"]
