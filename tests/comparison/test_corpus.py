"""Programs as users write them: the right ones agree; each mistake is found, and no cause is false."""

import pytest

from corpus import outcome_of, problem
from helpers import cases
from mistakes import MISTAKES
from programs import PROGRAMS

QUICK_PROGRAMS = ("the loop of Keras' guide",)
QUICK_MISTAKES = ("another model, dense", "metrics are not reset, plain")
"""Each of another kind, with the models that are traced fastest. `test_wrong_*.py` hold all mistakes."""


@pytest.mark.parametrize("name", cases(PROGRAMS, default=QUICK_PROGRAMS))
def test_a_right_program_agrees(name):
    assert problem(PROGRAMS[name], outcome_of(PROGRAMS[name])) is None


@pytest.mark.parametrize("name", cases(MISTAKES, default=QUICK_MISTAKES))
def test_a_mistake_is_found_and_named(name):
    outcome = outcome_of(MISTAKES[name])
    assert problem(MISTAKES[name], outcome) is None, outcome.reason
