"""Programs as users write them: the right ones agree; each mistake is found, and no cause is false."""

import pytest

from corpus import outcome_of, problem
from helpers import cases
from mistakes import MISTAKES
from programs import PROGRAMS

QUICK_PROGRAMS = (
    "the loop of Keras' guide",
    "gradient descent by hand",
    "epochs unrolled in a graph",
)
QUICK_MISTAKES = (
    *("training=True is missing, dense", "batches are shuffled, dense", "an epoch too few, dense"),
    *("the loss is the sum over the batch, plain", "logits are taken for probabilities, plain"),
    *("another learning rate: 0.05, not 0.1, plain", "another momentum: 0, not 0.9, plain"),
    *("the gradients are 0.5 times the right ones, plain", "another global clipnorm, plain"),
    *("frozen variables are trained, plain", "partial batch of the epoch is dropped, plain"),
    *("the batch is used twice, plain", "the same batches, plain", "another model, dense"),
    *("metrics are not reset, plain", "7.33 times, plain", "taken after the update, plain"),
    *("changes the state outside its steps, dense", "EMA is not finalised, dense"),
    *("callbacks that change the rate are ignored, plain", "loss weights are left out, two"),
    *("sample weights are left out, dense", "another weight decay, plain", "the same batches, dense"),
    *("labels do not belong to their inputs, subclass", "statistics are not moved, subclass"),
    *("gradients are accumulated, subclass", "the sum over the batches, dense"),
)
"""Each of another kind, with the models that are traced fastest."""


@pytest.mark.parametrize("name", cases(PROGRAMS, default=QUICK_PROGRAMS))
def test_a_right_program_agrees(name):
    assert problem(PROGRAMS[name], outcome_of(PROGRAMS[name])) is None


@pytest.mark.parametrize("name", cases(MISTAKES, default=QUICK_MISTAKES))
def test_a_mistake_is_found_and_named(name):
    outcome = outcome_of(MISTAKES[name])
    assert problem(MISTAKES[name], outcome) is None, outcome.reason
