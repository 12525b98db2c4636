"""The train step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import assert_same, compiled, state
from kerasmlp import loops
from kerasmlp.data import unpacked
from kerasmlp.loops.step import take
from small_models import dense

X = np.zeros((3, 2), np.float32)


def test_train_step_returns_the_metrics_as_keras_does(digits):
    images, labels = digits
    reference, model = compiled(dense), compiled(dense)
    batch = tf.constant(images[:7] / np.float32(255)), tf.constant(labels[:7])
    expected = reference.train_step(batch)
    received = loops.train_step(model, *batch)
    assert {name: float(value) for name, value in received.items()} == {
        name: float(value) for name, value in expected.items()
    }
    assert_same(state(model), state(reference))
    assert int(model.optimizer.iterations) == 1


@pytest.mark.parametrize("batch", [X, (X, X), (X, X, X), (X, None, X)])
def test_the_parts_of_a_batch_keep_their_places(batch):
    received = unpacked(batch)
    for part, expected in zip(received, batch if isinstance(batch, tuple) else (X,), strict=True):
        assert part is expected


def test_an_optional_input_is_none():
    x, y = unpacked(((tf.experimental.Optional.empty(None), X), X))
    assert x == (None, X)
    assert loops.batch_length((x, y)) == loops.batch_length(X) == loops.batch_length((X, None)) == 3


def test_validation_comes_after_so_many_epochs_or_after_those_that_are_named():
    def epochs(frequency, validation="data"):
        training = loops.Training(None, None, validation, 7, validation_freq=frequency)
        return [epoch for epoch in range(7) if training.validates_after(epoch)]

    assert epochs(1) == [0, 1, 2, 3, 4, 5, 6]
    assert epochs(3) == [2, 5]
    assert epochs([1, 4]) == [0, 3]
    assert epochs(1, validation=None) == []


class Own(keras.Model):
    """Counts the examples of its train steps."""

    def train_step(self, batch):
        return {"examples": batch[0].shape[0]}


def test_a_step_of_its_own_is_taken_unless_another_one_is_given():
    model, batch = Own(), (np.zeros((4, 2)), np.zeros(4))
    assert take(loops.train_step, model, batch) == {"examples": 4}
    assert take(lambda model, x, y: (x.shape, y.shape), model, batch) == ((4, 2), (4,))
    model = compiled(dense)
    assert take(lambda model, x, y: (x.shape, y.shape), model, batch) == ((4, 2), (4,))


def test_a_model_without_anything_to_train_is_warned_of_and_has_its_metrics(digits):
    model = compiled(dense)
    model.trainable = False
    before = state(model)
    with pytest.warns(UserWarning, match="does not have any trainable weights"):
        logs = loops.train_step(model, digits[0] / np.float32(255), digits[1])
    assert float(logs["loss"]) > 0
    assert_same(state(model)[: len(model.weights)], before[: len(model.weights)])
