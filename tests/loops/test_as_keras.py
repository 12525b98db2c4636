"""The loops do what Keras' own `fit` does: the same weights, hooks and logs, bit for bit."""

import functools

import numpy as np
import pytest

from helpers import assert_same, pairs
from keras_models import KINDS, made, trained, trained_by_keras
from kerasmlp.loops import LOOPS

PROGRAM = {"jit_compile": True, "steps_per_execution": 2}
AS_KERAS = {
    "fit": ("fit", {}, {}),
    "graph": ("graph", {}, {}),
    "eager": ("eager", {}, {}),
    "graph, run_eagerly": ("graph", {"run_eagerly": True}, {"run_eagerly": True}),
    "fit, program": ("fit", PROGRAM, PROGRAM),
    "graph, program": ("graph", PROGRAM, PROGRAM),
}
"""For each case the loop, how it compiles the model, and how Keras does."""
ROUNDED = (
    *("batch normalisation, dropout", "two inputs and outputs, weights"),
    *("own metric loss", "no metric but its own"),
)
"""Without a graph some operations round otherwise, and the losses of several outputs are other means."""
QUICK = {
    "fit": ("dense", "own train_step"),
    "graph": ("dense",),
    "graph, run_eagerly": tuple(kind for kind in KINDS if kind.startswith(("own", "no", "frozen"))),
    "eager": ("dense",),
}
"""The kinds that each loop trains in the default tests; the others, and programs, are thorough.

A kind that only Python code tells from another needs no trace: it is run eagerly.
"""


def assert_as(expected, received):
    assert received[:2] == expected[:2]
    assert_same(received[2], expected[2])
    assert received[3] == expected[3]


def assert_rounded_as(expected, received):
    """The same hooks with logs of the same names, and the same state but for rounding."""
    for heard, other in zip(expected[1], received[1], strict=True):
        assert heard[:-1] == other[:-1]
        assert list(heard[-1] or {}) == list(other[-1] or {})
    for one, other in zip(expected[2], received[2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert received[3] == expected[3]


@functools.cache
def by_keras(kind, **compilation):
    make, train = KINDS[kind]
    return trained_by_keras(made(make, **compilation), train, validation_data=train.epoch(0))


@pytest.mark.parametrize(
    "kind, name",
    pairs(KINDS, AS_KERAS, default=[(kind, name) for name, kinds in QUICK.items() for kind in kinds]),
)
def test_a_loop_does_what_keras_fit_does(kind, name, capsys):
    loop, compilation, of_keras = AS_KERAS[name]
    make, train = KINDS[kind]
    received = trained(LOOPS[loop], made(make, **compilation), train, validation=train.epoch(0))
    if name == "eager" and kind in ROUNDED:
        assert_rounded_as(by_keras(kind, **of_keras), received)
    else:
        assert_as(by_keras(kind, **of_keras), received)
    assert capsys.readouterr().err == ""
