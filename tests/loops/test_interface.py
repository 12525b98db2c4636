"""What is built before the first step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import assert_same, compiled, state
from kerasmlp.data import Batches
from kerasmlp.loops.interface import build, build_metrics, build_model, build_optimizer
from small_models import dense


class Own(keras.Sequential):
    """A model whose `train_step` makes and updates a metric of its own."""

    def train_step(self, batch):
        x, y = batch
        self(x, training=True)
        self.seen.update_state(y)
        return {"seen": self.seen.result()}


@pytest.fixture
def own():
    model = Own([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.seen = keras.metrics.Mean()
    model.compile("adam", "mse", jit_compile=False)
    return model


@pytest.fixture
def batches(digits):
    return Batches(*digits, 7, seed=5)


def test_a_model_with_a_step_of_its_own_has_the_variables_that_the_step_makes(batches):
    model = Own([keras.layers.Flatten(), keras.layers.Dense(3)])
    model.seen = keras.metrics.Mean()
    model.compile("adam", "mse", jit_compile=False)
    build_model(model, batches)
    assert [weight.shape for weight in model.trainable_weights] == [(36, 3), (3,)]


def test_metrics_are_built_and_nothing_is_trained(batches):
    model = compiled(dense)
    before = state(model)
    build_metrics(model, batches)
    assert len(model.metrics_variables) == 4
    assert_same(state(model), before)


@pytest.mark.parametrize("builds", [build, build_metrics])
def test_a_train_step_of_the_class_is_traced_for_what_it_makes(builds, batches):
    class Late(Own):
        def train_step(self, batch):
            if not hasattr(self, "late"):
                with tf.init_scope():
                    self.late = keras.Variable(1.0)
            self.late.assign_add(1.0)
            return {"late": self.late.value}

    model = Late([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("adam", "mse", jit_compile=False)
    builds(model, batches)
    assert float(model.late) == 1.0


def test_the_optimizer_of_a_train_step_of_the_class_is_its_own_matter(own):
    build_optimizer(own)
    assert not own.optimizer.built
    model = compiled(dense, optimizer=keras.optimizers.Adam)
    build_optimizer(model)
    assert model.optimizer.built
    assert not any(np.any(variable) for variable in model.optimizer.variables[2:])
