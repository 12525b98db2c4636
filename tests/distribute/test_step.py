"""The step that replicas share."""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import compiled, python
from kerasmlp import loops
from kerasmlp.data import Batches
from kerasmlp.distribute.step import as_train_step, distributed, packed, unpacked
from kerasmlp.distribute.strategy import Distribution
from small_models import batch_normalisation, compiled_dense

HERE = Path(__file__).parent


@pytest.mark.thorough
@pytest.mark.parametrize("count", [1, 6])
def test_slices_of_all_sizes_make_the_step_of_one_device(count):
    done = python(HERE / "replicas.py", count, PYTHONPATH=os.pathsep.join(sys.path))
    assert done.returncode == 0, done.stderr
    differences = json.loads(done.stdout)
    assert len(differences["ours"]) == count
    assert max(differences["ours"]) < 1e-6, differences
    # In Keras' own a slice counts as much as one with more examples.
    assert differences.get("Keras' own", 1) > 1e-4


@pytest.fixture
def alone():
    """A strategy with one device."""
    return tf.distribute.MirroredStrategy(["CPU:0"])


class Product(keras.Model):
    """A model with two inputs, and a trainable variable that it does not use."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)
        self.unused = self.add_weight((3,), "ones", name="unused")

    def build(self, shapes):
        self.dense.build(shapes["a"])

    def call(self, inputs):
        return self.dense(inputs["a"]) * inputs["b"]


class OfTraining(Product):
    """A model whose loss is another one in training."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=False):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return 3 * loss if training else loss


class WithoutTraining(Product):
    """A model whose loss does not ask whether it is trained."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return 5 * super().compute_loss(x, y, y_pred, sample_weight)


@pytest.mark.parametrize("kind", [Product, OfTraining, WithoutTraining])
@pytest.mark.parametrize("weight", [None, np.array([0.0, 1, 2, 3, 4], np.float32)], ids=["", "weighted"])
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_on_one_device_a_step_is_that_of_the_loops(kind, weight, alone):
    random = np.random.default_rng(0)
    x = {"a": random.random((5, 3), np.float32), "b": random.random((5, 1), np.float32)}
    x, y = tf.nest.map_structure(tf.constant, (x, random.random((5, 2), np.float32)))
    steps = loops.train_step, distributed(alone, batch_size=7)
    ended = []
    for step in steps:
        keras.utils.set_random_seed(1)
        model = kind()
        model.compile(keras.optimizers.SGD(0.5), "mse", metrics=["mae"], weighted_metrics=["mse"])
        model.build({"a": (None, 3), "b": (None, 1)})
        before = model.get_weights()
        logs = step(model, x, y, None if weight is None else tf.constant(weight))
        ended.append([*model.get_weights(), *map(np.array, logs.values())])
    assert len(ended[0]) == 6 and (ended[0][1] != before[1]).all()
    for one, other in zip(*ended, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    np.testing.assert_array_equal(ended[1][0], [1, 1, 1])


def test_keras_takes_the_step_only_within_the_context():
    model = compiled_dense()
    with as_train_step(model, lambda *received: received):
        assert model.train_step((1, 2)) == (model, 1, 2, None)
        assert model.train_step((1, 2, 3)) == (model, 1, 2, 3)
    assert model.train_step.__func__ is keras.Model.train_step
    assert model.train_function is None


def test_a_model_whose_forward_pass_changes_a_variable_is_refused(alone):
    model = compiled(batch_normalisation)
    data = Batches(np.ones((4, 6, 6, 1), np.uint8), np.ones(4), 2)
    path = model.non_trainable_variables[0].path
    assert path.endswith("moving_mean")
    with pytest.raises(ValueError, match=f"received a model with {path}, whose value would depend"):
        Distribution(alone).loop("graph")(model, data, None, 1)


def test_what_is_packed_is_unpacked():
    parts = [tf.ones((2, 3)), tf.constant(2.0), tf.fill((2,), 3.0)]
    flat = packed(parts)
    assert flat.numpy().tolist() == [1.0] * 6 + [2.0, 3.0, 3.0]
    for part, again in zip(parts, unpacked(flat, [(2, 3), (), (2,)]), strict=True):
        assert part.numpy().tolist() == again.numpy().tolist()


def test_a_model_with_two_outputs_is_refused(alone):
    x = keras.Input((3,))
    model = keras.Model(x, [keras.layers.Dense(1)(x), keras.layers.Dense(1)(x)])
    model.compile("sgd", ["mse", "mse"], jit_compile=False)
    ones = np.ones((4, 3), np.float32)
    data = Batches(ones, (ones[:, :1], ones[:, :1]), 2, are_images=False)
    loop = Distribution(alone).loop("graph")
    with pytest.raises(ValueError, match=r"expects a model with one output; received <class 'list'>"):
        loop(model, data, None, 1)
