"""The cause of a wrong step is found and named."""

import pytest

import factories
import faults
from checking import EPOCH, check
from helpers import cases
from kerasmlp.comparison.verdict import judge


def assert_found(fault, factory, data):
    options = {
        "mixed": fault is faults.not_unscaled,
        "ema": fault is faults.ema_not_finalised,
    }
    found = check(faults.as_loop(fault), factory, data, **options)
    outcome = judge("it", found, None)
    assert outcome.verdict == "diverges"
    assert faults.FAULTS[fault] in outcome.reason
    assert found.divergence.step == faults.first_wrong_step(fault, EPOCH)


DEFAULT = (faults.no_regularisation, faults.metrics_not_reset)


@pytest.mark.parametrize(
    "fault", cases(faults.FAULTS, default=DEFAULT), ids=lambda fault: fault.__name__
)
def test_a_mistake_is_found_and_named(fault, mnist5k):
    assert_found(fault, factories.cnn, mnist5k)


@pytest.mark.mnist
@pytest.mark.thorough
@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.__name__)
def test_a_mistake_is_found_and_named_on_mnist(fault, mnist):
    assert_found(fault, factories.mlp, mnist)
