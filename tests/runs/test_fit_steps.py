"""The number of steps of `kerasmlp.fit`, and whom it trains."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasmlp
from helpers import cases, compiled
from small_models import dense

X = np.linspace(0, 1, 10 * 36, dtype=np.float32).reshape(10, 6, 6, 1)
Y = np.arange(10) % 3
ORDER = {"batch_size": 4, "shuffle": False, "verbose": 0, "epochs": 2}
DATA = {
    "arrays": {"x": X, "y": Y, **ORDER},
    "dataset": {"x": tf.data.Dataset.from_tensor_slices((X, Y)).batch(4), **ORDER, "batch_size": None},
}


CASES = [(data, loop) for data in DATA for loop in ("fit", "graph", "eager")]


@pytest.mark.parametrize("case", cases(CASES, default=CASES[::2]), ids="-".join)
def test_an_epoch_has_no_more_steps_than_the_data_have_batches(case):
    data, loop = case
    model, all_batches = compiled(dense), compiled(dense)
    with pytest.warns(UserWarning, match="have 3 batches, so that an epoch has 3 steps, not 5"):
        history = kerasmlp.fit(model, **DATA[data], steps_per_epoch=5, loop=loop)
    assert int(model.optimizer.iterations) == 6
    expected = kerasmlp.fit(all_batches, **DATA[data], loop=loop)
    assert history.history == expected.history


def test_keras_trains_on_as_many():
    model = compiled(dense)
    with pytest.warns(UserWarning, match="ran out of data"):
        model.fit(**DATA["arrays"], steps_per_epoch=5)
    assert int(model.optimizer.iterations) == 6


def test_as_many_steps_as_batches_is_an_epoch_of_all():
    model, all_batches = compiled(dense), compiled(dense)
    history = kerasmlp.fit(model, **DATA["arrays"], steps_per_epoch=3)
    assert history.history == kerasmlp.fit(all_batches, **DATA["arrays"]).history


def test_what_keras_is_told_limits_epochs_and_steps():
    model = compiled(dense)
    keras.config.set_max_epochs(1)
    keras.config.set_max_steps_per_epoch(2)
    try:
        history = kerasmlp.fit(model, **DATA["arrays"])
    finally:
        keras.config.set_max_epochs(None)
        keras.config.set_max_steps_per_epoch(None)
    assert history.epoch == [0]
    assert int(model.optimizer.iterations) == 2


@pytest.mark.parametrize("loop", ["fit", "graph", "eager"])
def test_optional_inputs_may_be_none(loop):
    optional = keras.Input((2,), optional=True, name="o")
    given = keras.Input((2,), name="x")

    class OrZero(keras.layers.Layer):
        def call(self, x, o=None):
            return x if o is None else x + o

    outputs = keras.layers.Dense(1)(OrZero()(given, optional))
    model = keras.Model({"x": given, "o": optional}, outputs)
    model.compile("sgd", "mse", jit_compile=False)
    x = {"x": np.ones((5, 2)), "o": None}
    history = kerasmlp.fit(model, x, np.ones((5, 1)), loop=loop, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert int(model.optimizer.iterations) == 1
