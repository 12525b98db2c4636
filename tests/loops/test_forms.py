"""Models and data of unusual forms are trained as by Keras' own `fit`."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from helpers import cases
from keras_models import X, Y, batches, made, trained, trained_by_keras, weights
from kerasmlp.callbacks import BatchLosses
from kerasmlp.data import Epochs
from kerasmlp.loops import LOOPS
from test_as_keras import assert_as


class InOrder(Epochs):
    """Three batches an epoch of the examples of a dataset, in order."""

    batch_size = 7
    steps_per_epoch = 3

    def __init__(self, examples):
        self.examples = examples

    def epoch(self, epoch, first_step=0):
        return self.examples.batch(7).skip(first_step)


class Optional(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, inputs):
        absent, present = inputs
        assert absent is None
        return self.dense(present)


class Autoencoder(keras.Sequential):
    """Its data has no targets; each example is a tuple of one array."""

    def train_step(self, data):
        (x,) = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x, training=True) - x[:, :2]) ** 2)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


class WithoutTraining(keras.Model):
    """Keras calls it without `training`, so that its dropout does nothing."""

    def __init__(self):
        super().__init__()
        self.dense, self.dropout = layers.Dense(2), layers.Dropout(0.5, seed=1)

    def call(self, x):
        return self.dropout(self.dense(x))


class OwnLoss(keras.Sequential):
    def compute_loss(self, x, y, y_pred, sample_weight=None):
        return tf.reduce_mean(tf.abs(y_pred - x[:, :2]))


def sequential(kind):
    return lambda: kind([keras.Input((4,)), layers.Dense(2)])


def with_none(x, y):
    return (None, x), y


EXAMPLES = tf.data.Dataset.from_tensor_slices((X, Y))
FORMS = {
    "optional input": (Optional, InOrder(EXAMPLES.map(with_none))),
    "no targets, own step": (sequential(Autoencoder), InOrder(tf.data.Dataset.from_tensor_slices((X,)))),
    "no targets, own loss": (sequential(OwnLoss), InOrder(tf.data.Dataset.from_tensor_slices(X))),
    "no parameter training": (WithoutTraining, InOrder(EXAMPLES)),
}


@pytest.mark.parametrize("loop", cases(LOOPS, default=("graph",)))
@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_trained_as_by_keras(form, loop):
    make, train = FORMS[form]
    options = {"weighted_metrics": None, "run_eagerly": loop == "eager"}
    expected = trained_by_keras(made(make, **options), train)
    received = trained(LOOPS[loop], made(make, **{**options, "run_eagerly": False}), train)
    assert_as(expected, received)


@pytest.mark.parametrize("loop", cases(LOOPS, default=("graph",)))
def test_a_model_without_weights_to_train_needs_no_optimizer(loop):
    results = []
    for train_by in (trained_by_keras, lambda *given: trained(LOOPS[loop], *given)):
        model = made(lambda: keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x[:, :2])]))
        model.compile(None, "mse")
        with pytest.warns(UserWarning, match="any trainable weights"):
            results.append(train_by(model, batches()))
    assert_as(*results)


@pytest.mark.parametrize("loop", cases(LOOPS, default=("fit",)))
def test_batch_losses_does_without_the_parameter_training_and_an_optimizer(loop):
    model = made(sequential(OwnLoss), weighted_metrics=None)
    losses, heard = BatchLosses(), []
    collect = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: heard.extend(loss for _, loss, _ in losses.latest)
    )
    train = batches()
    LOOPS[loop](model, train, train.epoch(0), 1, [losses, collect])
    assert len(heard) == 3, "those of the validation are not recorded"
    assert "training" not in inspect.signature(model.compute_loss).parameters


def test_graph_runs_eagerly_if_the_model_does():
    eagerly = []

    class Look(layers.Layer):
        def call(self, x):
            eagerly.append(tf.executing_eagerly())
            return x

    def make():
        return keras.Sequential([keras.Input((4,)), layers.Dense(2), Look()])

    model = made(make, run_eagerly=True, steps_per_execution=2)
    eagerly.clear()
    LOOPS["graph"](model, batches(), None, 1)
    assert eagerly == [True] * 3
    reference = made(make, steps_per_execution=2)
    LOOPS["graph"](reference, batches(), None, 1)
    assert eagerly[-1] is False
    for one, other in zip(weights(model), weights(reference), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
