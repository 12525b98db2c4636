"""The loops do what Keras' own `fit` does: the same weights, hooks and logs, bit for bit."""

import functools

import pytest

from helpers import assert_same
from keras_models import KINDS, made, trained, trained_by_keras
from kerasmlp.loops import LOOPS

PROGRAM = {"jit_compile": True, "steps_per_execution": 2}
AS_KERAS = {
    "fit": ("fit", {}, {}),
    "graph": ("graph", {}, {}),
    # Without a graph some operations round otherwise, and Keras' metrics of outputs are other means.
    "eager": ("eager", {}, {"run_eagerly": True}),
    "graph, run_eagerly": ("graph", {"run_eagerly": True}, {"run_eagerly": True}),
    "fit, program": ("fit", PROGRAM, PROGRAM),
    "graph, program": ("graph", PROGRAM, PROGRAM),
}
"""For each case the loop, how it compiles the model, and how Keras does."""
COSTLY = ("own metric loss", "no metric but its own", "own compute_metrics")


def all_cases():
    for name in AS_KERAS:
        for kind in KINDS:
            thorough = name == "graph, run_eagerly" or ("program" in name and kind in COSTLY[1:])
            yield pytest.param(kind, name, marks=[pytest.mark.thorough] * thorough)


def assert_as(expected, received):
    assert received[:2] == expected[:2]
    assert_same(received[2], expected[2])
    assert received[3] == expected[3]


@functools.cache
def by_keras(kind, **compilation):
    make, train = KINDS[kind]
    return trained_by_keras(made(make, **compilation), train, validation_data=train.epoch(0))


@pytest.mark.parametrize("kind, name", list(all_cases()))
def test_a_loop_does_what_keras_fit_does(kind, name, capsys):
    loop, compilation, of_keras = AS_KERAS[name]
    make, train = KINDS[kind]
    received = trained(LOOPS[loop], made(make, **compilation), train, validation=train.epoch(0))
    assert_as(by_keras(kind, **of_keras), received)
    assert capsys.readouterr().err == ""
