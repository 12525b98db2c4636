import dataclasses
import inspect

import keras
import numpy as np
import pytest

from kerasmlp.data.batches import Batches
from kerasmlp.runs import summary
from kerasmlp.runs.fit_settings import FitSettings


def model_of(layers):
    dense = [keras.layers.Dense(2, name=f"d{number}") for number in range(layers)]
    model = keras.Sequential([keras.Input((2,)), *dense], name="mine")
    model.compile("sgd", "mse", jit_compile=False)
    return model


X = np.zeros((5, 2), np.float32)
TRAIN = Batches(X, X, 2, are_images=False)


@pytest.mark.parametrize(
    "layers, named", [(2, "d0, d1"), (6, "d0, d1, d2, d3, d4, d5"), (9, "d0, d1, d2, d3, ..., d8")]
)
def test_many_layers_are_not_all_named(layers, named):
    assert summary.lines(
        FitSettings(epochs=2), model_of(layers), TRAIN, "/a/b/x.npz", validation=1200, test=None
    ) == [
        f"model: mine ({named})",
        f"parameters: {6 * layers}",
        "data: x.npz, 3 batches of 2, 1,200 validation examples",
        "loop: fit, 2 epochs",
        "compilation: tf.function",
    ]


def test_the_settings_of_fit_are_those_of_keras():
    given, of_keras = dataclasses.asdict(FitSettings()), inspect.signature(keras.Model.fit).parameters
    same = given.keys() & of_keras.keys() - {"batch_size", "verbose"}
    assert len(same) == 8
    assert {name: given[name] for name in same} == {name: of_keras[name].default for name in same}
    assert (given["batch_size"], given["loop"]) == (32, "fit")


def test_the_eager_loop_compiles_nothing():
    lines = summary.lines(FitSettings(loop="eager", epochs=1), model_of(1), TRAIN, "x.npz", test=3)
    assert lines[2:] == [
        "data: x.npz, 3 batches of 2, 3 test examples",
        "loop: eager, 1 epoch",
        "compilation: none, operation by operation",
    ]


@pytest.mark.parametrize(
    "compilation, said",
    [
        ({"jit_compile": True}, "XLA"),
        ({"jit_compile": True, "steps_per_execution": 3000}, "XLA, 3,000 steps an execution"),
        ({"jit_compile": False, "steps_per_execution": 2}, "tf.function, 2 steps an execution"),
        ({"jit_compile": False, "run_eagerly": True}, "none, operation by operation"),
    ],
)
def test_the_compilation_is_that_of_the_model(compilation, said):
    model = model_of(1)
    model.compile("sgd", "mse", **compilation)
    lines = summary.lines(FitSettings(epochs=2000), model, TRAIN, "arrays", test=0)
    expected = ["data: arrays, 3 batches of 2", "loop: fit, 2,000 epochs", f"compilation: {said}"]
    assert lines[2:] == expected
