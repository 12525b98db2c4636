"""A right loop agrees; the result has its losses, metrics and predictions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import factories
import own_loops
from checking import EPOCH, check
from helpers import cases
from kerasmlp import loops
from kerasmlp.comparison.verdict import judge


@pytest.mark.parametrize("name", cases(own_loops.RIGHT, default=()))
def test_a_right_loop_agrees(name, mnist5k):
    # With batch normalisation or dropout, the two halves of a batch are another computation.
    factory, options = (factories.mlp, {"dropout": False}) if name == "halves" else (factories.cnn, {})
    found = check(own_loops.RIGHT[name], factory, mnist5k, **options)
    assert found.divergence is None
    assert found.share <= 1
    assert found.steps > 0


@pytest.mark.parametrize("error, agrees", [(1e-6, True), (1e-4, False)])
def test_the_bound_on_rounding_lies_between_a_rate_that_is_wrong_by(error, agrees, mnist5k):
    """A millionth of a learning rate may be rounding, a ten-thousandth is a mistake."""

    def descends():
        model = factories.mlp()
        model.compile(keras.optimizers.SGD(0.01), model.loss, metrics=["accuracy"])
        return model

    def with_another_rate(model, train, validation, epochs, callbacks):
        optimizer = keras.optimizers.SGD(0.01 * (1 + error))
        for epoch in range(epochs):
            for x, y in train.epoch(epoch):
                _, _, gradients = loops.compute_gradients(model, x, y)
                optimizer.apply(gradients, model.trainable_variables)

    found = check(with_another_rate, descends, mnist5k)
    assert (found.divergence is None) == agrees
    assert agrees or found.divergence.step == 1


def accumulates_by_hand(model, train, validation, epochs, callbacks):
    optimizer, sums = keras.optimizers.Adam(0.01), [0.0] * len(model.trainable_variables)
    number = 0
    for epoch in range(epochs):
        for x, y in train.epoch(epoch):
            _, _, gradients = loops.compute_gradients(model, x, y)
            sums = [one + other for one, other in zip(sums, gradients, strict=True)]
            number += 1
            if number % 2 == 0:
                optimizer.apply([each / 2 for each in sums], model.trainable_variables)
                sums = [0.0] * len(sums)


@pytest.mark.parametrize("length", cases((192, 210), default=(210,)))  # 6 and 7 batches an epoch
def test_gradients_may_be_accumulated_by_hand_and_by_the_optimizer(length, mnist5k):
    def accumulating():
        model = factories.mlp()
        optimizer = keras.optimizers.Adam(0.01, gradient_accumulation_steps=2)
        model.compile(optimizer, model.loss, metrics=["accuracy"])
        return model

    found = check(accumulates_by_hand, accumulating, mnist5k, length=length)
    assert found.divergence is None and found.undecided is None
    assert found.steps == 2 * -(-length // 32) and found.share <= 1


def forgets_penalties(model, train, validation, epochs, callbacks):
    for epoch in range(epochs):
        for x, y in train.epoch(epoch):
            with tf.GradientTape() as tape:
                loss = keras.losses.sparse_categorical_crossentropy(y, model(x, training=True))
                loss = tf.reduce_mean(loss)
            gradients = tape.gradient(loss, model.trainable_variables)
            model.optimizer.apply(gradients, model.trainable_variables)


@pytest.mark.thorough
def test_a_small_mistake_is_seen_beside_dropout(mnist5k):
    """XLA draws other masks than TensorFlow: no bound on rounding may come of that."""

    def regularised():
        x = inputs = keras.Input((28, 28, 1))
        penalty = keras.regularizers.L2(1e-4)
        x = layers.Conv2D(2, 5, strides=4, activation="relu", kernel_regularizer=penalty)(x)
        x = layers.Dropout(0.3, seed=1)(layers.Flatten()(layers.BatchNormalization()(x)))
        model = keras.Model(inputs, layers.Dense(10, "softmax")(x))
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    found = check(forgets_penalties, regularised, mnist5k)
    assert found.divergence.step == 1
    assert found.divergence.cause.startswith("regularisation losses are left out")
    assert found.divergence.bound < found.divergence.size / 2


def divides_by_the_weights(model, train, validation, epochs, callbacks):
    for epoch in range(epochs):
        for x, y, weights in train.epoch(epoch):
            with tf.GradientTape() as tape:
                loss = keras.losses.sparse_categorical_crossentropy(y, model(x, training=True))
                loss = tf.reduce_sum(loss * weights) / tf.reduce_sum(weights) + sum(model.losses)
            gradients = tape.gradient(loss, model.trainable_variables)
            model.optimizer.apply(gradients, model.trainable_variables)


@pytest.mark.thorough
def test_a_mean_over_the_weights_is_named(mnist5k):
    weights = np.array([1, 2, 3, 1, 2, 3, 1, 2, 3, 4], np.float32)
    found = check(divides_by_the_weights, factories.mlp, mnist5k, weights=weights)
    assert found.divergence.step == 1
    assert "divided by the sum of the sample weights" in found.divergence.cause


@pytest.mark.thorough
def test_the_built_in_loops_are_identical(mnist5k):
    first, second = (
        check(loop, factories.mlp, mnist5k) for loop in (loops.LOOPS["fit"], loops.LOOPS["eager"])
    )
    assert judge("eager", second, first).verdict == "identical"
    assert first.steps == second.steps == 2 * EPOCH
    assert len(first.losses) == 2 * EPOCH
    assert first.losses == second.losses


@pytest.mark.thorough
def test_a_loop_with_xla_is_equal_and_measured(mnist5k):
    # Without dropout: XLA draws other random numbers from the same seed.
    plain = check(loops.LOOPS["graph"], factories.mlp, mnist5k, dropout=False)
    xla = check(loops.LOOPS["graph"], factories.mlp, mnist5k, jit_compile=True, dropout=False)
    assert judge("xla", xla, plain).verdict == "equal"
    assert xla.measured > 0
    assert 0 < xla.share <= 1


@pytest.fixture(scope="module")
def of_graph(mnist5k):
    """The trajectory of a built-in loop."""
    return check(loops.LOOPS["graph"], factories.mlp, mnist5k)


@pytest.mark.thorough
def test_a_loop_that_returns_nothing_is_compared_by_what_it_trains(of_graph, mnist5k):
    found = check(own_loops.returns_nothing, factories.mlp, mnist5k)
    assert not found.reports_metrics
    assert judge("nothing", found, of_graph).verdict == "identical"


def test_a_loop_that_returns_something_else_is_an_error(mnist5k):
    def loop(*arguments):
        loops.LOOPS["graph"](*arguments)
        return 0.5

    with pytest.raises(TypeError, match=r"metrics of each epoch: .*; received float"):
        check(loop, factories.mlp, mnist5k)


@pytest.mark.thorough
def test_predictions_are_those_of_the_trained_model(of_graph):
    assert of_graph.predictions[0].shape == (200, 10)
    assert np.allclose(of_graph.predictions[0].sum(axis=1), 1, atol=1e-5)
