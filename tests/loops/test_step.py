"""The train step."""

import numpy as np
import pytest
import tensorflow as tf

from helpers import assert_same, compiled, state
from kerasmlp import loops
from kerasmlp.data import unpacked
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
    assert loops.batch_length((x, y)) == 3
