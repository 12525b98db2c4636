"""The number of steps in an execution."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasmlp
from helpers import assert_same
from keras_models import X, Y, batches, dense, made, two_sided, weights
from kerasmlp.data import Batches
from kerasmlp.loops import automatic_steps, responsive_steps, set_steps
from kerasmlp.loops.steps_per_execution import GROUP_BYTES


@pytest.mark.parametrize(
    "parameters, batch_size, example_bytes, steps_per_epoch, steps",
    [
        (79_510, 50, 784, 1200, 204),  # the handbook's: 1.2 ms a step on a slow machine
        (79_510, 50, 784, 80, 80),  # no more than the epoch has
        (10, 1, 1, 10_000, 8_333),  # 30 microseconds a step, whatever is in it
        (10, 50, 2**20, 1200, 1),  # a batch of 50 MiB
        (10, 1, 2**20, 1200, 64),  # no more than 64 MiB
        (10**9, 1000, 784, 1200, 1),
    ],
)
def test_an_execution_is_short_and_small(parameters, batch_size, example_bytes, steps_per_epoch, steps):
    received = responsive_steps(parameters, batch_size, example_bytes, steps_per_epoch)
    assert received == pytest.approx(steps, rel=0.01)


def many(x=X, y=Y):
    """A thousand batches of one example."""
    return Batches(np.resize(x, (1000, *x.shape[1:])), np.resize(y, (1000, 2)), 1, are_images=False)


@pytest.fixture
def unhurried(monkeypatch):
    """An execution may take very long, so that a busy machine changes no number."""
    monkeypatch.setattr("kerasmlp.loops.steps_per_execution.UPDATE_SECONDS", 60.0)


def test_the_steps_of_any_model_are_measured(unhurried):
    assert automatic_steps(made(dense), batches()) == 3, "no more than the epoch has"
    both = {"first": X, "second": X}, {"one": Y, "other": Y}
    assert automatic_steps(made(two_sided), Batches(*both, 7, are_images=False)) == 3
    assert automatic_steps(made(dense, run_eagerly=True), batches()) == 1
    model = made(dense)
    before = weights(model)
    assert 20 < automatic_steps(model, many()) <= 1000
    assert_same(weights(model), before)


class Slow(keras.layers.Layer):
    """Takes 20 ms, and has no parameters."""

    def call(self, x):
        def wait(x):
            time.sleep(0.02)
            return x

        return tf.ensure_shape(tf.numpy_function(wait, [x], tf.float32), x.shape)


def test_a_slow_model_has_few_steps_an_execution():
    model = made(lambda: keras.Sequential([keras.Input((4,)), Slow(), keras.layers.Dense(2)]))
    assert 1 <= automatic_steps(model, many()) <= 4


def test_an_execution_has_no_more_batches_than_memory(unhurried):
    wide = np.zeros((4, GROUP_BYTES // 4 // 3), np.float32)
    model = made(lambda: keras.Sequential([keras.Input(wide.shape[1:]), keras.layers.Dense(2)]))
    assert automatic_steps(model, Batches(wide, Y[:4], 1, are_images=False)) == 2


def test_a_model_with_convolutions_has_one_step_an_execution_without_a_gpu():
    images = np.zeros((40, 6, 6, 1), np.float32)
    layers = [keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()]
    model = made(lambda: keras.Sequential([*layers, keras.layers.Dense(2)]))
    train = Batches(images, Y[:1].repeat(40, axis=0), 10, are_images=False)
    assert automatic_steps(model, train) == (4 if tf.config.list_physical_devices("GPU") else 1)


def test_a_model_without_a_forward_pass_has_one_step_an_execution():
    assert automatic_steps(made(keras.Model, weighted_metrics=None), batches()) == 1


@pytest.mark.parametrize(
    "of_compile, asked, expected", [(1, "auto", 3), (2, "auto", 2), (2, 5, 5), (1, 5, 5), (2, 1, 1)]
)
def test_auto_leaves_what_compile_has_set(of_compile, asked, expected, unhurried):
    model = made(dense, steps_per_execution=of_compile)
    set_steps(model, asked, batches())
    assert model.steps_per_execution == expected


@pytest.mark.parametrize("asked, expected", [(None, 1), (5, 5)])
def test_fit_sets_the_steps_that_are_asked_for(asked, expected):
    model = made(dense)
    kerasmlp.fit(model, X, Y, batch_size=7, steps_per_execution=asked, verbose=0, loop="eager")
    assert model.steps_per_execution == expected
