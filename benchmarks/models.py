"""What the program of many steps is worth for models of other kinds: beside Keras' own `fit`."""

import statistics
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from kerasmlp import compare_loops

WAYS = {"Keras": "fit", "XLA": "fit+jit", "steps": "fit@50", "program": "fit+jit@50"}
"""Keras' `fit` as it is, with XLA, with 50 steps an execution, with both: the program."""


def wide() -> keras.Model:
    """Ten layers of 128 units, as in keras-team/keras#19953."""
    return _compiled(100, [layers.Dense(128, "relu") for _ in range(10)])


def mlp() -> keras.Model:
    """The handbook's MLP."""
    return _compiled(784, [layers.Dense(100, "relu")])


def table() -> keras.Model:
    """A small model for a table of numbers."""
    return _compiled(20, [layers.Dense(64, "relu"), layers.Dense(64, "relu")])


def cnn() -> keras.Model:
    """Two convolutions with BatchNormalization."""
    blocks = [
        (layers.Conv2D(filters, 3, strides=2), layers.BatchNormalization(), layers.ReLU())
        for filters in (16, 32)
    ]
    return _compiled((28, 28, 1), [*(part for block in blocks for part in block), layers.Flatten()])


def text() -> keras.Model:
    """An embedding and a recurrent layer."""
    return _compiled(64, [layers.Embedding(1000, 32), layers.GRU(32)])


def _compiled(inputs: Any, hidden: list[Any]) -> keras.Model:
    shape = inputs if isinstance(inputs, tuple) else (inputs,)
    model = keras.Sequential([keras.Input(shape), *hidden, layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


MODELS: dict[str, tuple[Callable[[], keras.Model], int, int]] = {
    "10 x Dense(128), batches of 500": (wide, 20_000, 500),
    "the handbook's MLP, batches of 50": (mlp, 10_000, 50),
    "2 x Dense(64) on a table, batches of 32": (table, 10_000, 32),
    "2 convolutions, batches of 64": (cnn, 4_000, 64),
    "Embedding, GRU on 64 tokens, batches of 32": (text, 2_000, 32),
}
"""For each model: its function, how many examples, and how many in a batch."""


def measure(repeats: int) -> dict[str, Any]:
    """Return the seconds of an epoch of each model, trained in each way."""
    found = {}
    for name, (make, examples, batch_size) in MODELS.items():
        numbers = np.random.default_rng(0)
        shape = make().input_shape[1:]
        size = (examples, *shape)
        x: Any = numbers.integers(0, 1000, size) if make is text else numbers.normal(size=size)
        y = numbers.integers(0, 10, examples)
        result = compare_loops(make, (x, y), WAYS, epochs=1, batch_size=batch_size, repeats=repeats)
        costs = {outcome.name: outcome.cost for outcome in result.outcomes}
        found[name] = {way: cost and cost.seconds_per_epoch for way, cost in costs.items()}
    return found


def cells(row: dict[str, Any], rows: dict[str, Any]) -> dict[str, str]:
    """Return the cells of a model: seconds an epoch, and how many times as fast the program is."""
    medians = {way: statistics.median(seconds) for way, seconds in row.items() if seconds}
    told = {way: f"{medians[way]:.3f}" if way in medians else "-" for way in WAYS}
    best = min(seconds for way, seconds in medians.items() if way != "program")
    if "program" not in medians:
        return told | {"times as fast as Keras": "-", "as the best of the three": "-"}
    return told | {
        "times as fast as Keras": f"{medians['Keras'] / medians['program']:.1f}",
        "as the best of the three": f"{best / medians['program']:.1f}",
    }
