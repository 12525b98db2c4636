"""A right loop agrees; the result has its losses, metrics and predictions."""

import numpy as np
import pytest

import factories
import own_loops
from checking import EPOCH, check
from helpers import cases
from kerasmlp import loops
from kerasmlp.comparison.verdict import judge


@pytest.mark.parametrize("name", cases(own_loops.RIGHT, default=("halves",)))
def test_a_right_loop_agrees(name, mnist5k):
    # With batch normalisation or dropout, the two halves of a batch are another computation.
    factory, options = (factories.mlp, {"dropout": False}) if name == "halves" else (factories.cnn, {})
    found = check(own_loops.RIGHT[name], factory, mnist5k, **options)
    assert found.divergence is None
    assert found.share <= 1
    assert found.steps > 0


@pytest.mark.thorough
def test_the_built_in_loops_are_identical(mnist5k):
    first, second = (
        check(loop, factories.mlp, mnist5k) for loop in (loops.LOOPS["fit"], loops.LOOPS["eager"])
    )
    assert judge("eager", second, first).verdict == "identical"
    assert first.steps == second.steps == 2 * EPOCH
    assert len(first.losses) == 2 * EPOCH
    assert first.losses == second.losses


@pytest.mark.thorough
def test_a_loop_with_xla_is_equal_and_measured(mnist5k):
    # Without dropout: XLA draws other random numbers from the same seed.
    plain = check(loops.LOOPS["graph"], factories.mlp, mnist5k, dropout=False)
    xla = check(loops.LOOPS["graph"], factories.mlp, mnist5k, jit_compile=True, dropout=False)
    assert judge("xla", xla, plain).verdict == "equal"
    assert xla.measured > 0
    assert 0 < xla.share <= 1


def test_a_loop_that_returns_nothing_is_compared_by_what_it_trains(mnist5k):
    found = check(own_loops.returns_nothing, factories.mlp, mnist5k)
    first = check(loops.LOOPS["graph"], factories.mlp, mnist5k)
    assert not found.reports_metrics
    assert judge("nothing", found, first).verdict == "identical"


def test_a_loop_that_returns_something_else_is_an_error(mnist5k):
    def loop(*arguments):
        loops.LOOPS["graph"](*arguments)
        return 0.5

    with pytest.raises(TypeError, match=r"metrics of each epoch: .*; received float"):
        check(loop, factories.mlp, mnist5k)


def test_predictions_are_those_of_the_trained_model(mnist5k):
    found = check(loops.LOOPS["graph"], factories.mlp, mnist5k)
    assert found.predictions[0].shape == (200, 10)
    assert np.allclose(found.predictions[0].sum(axis=1), 1, atol=1e-5)
