"""The bound on rounding: it explains rounding, and nothing else."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.comparison.reference import Reference, state
from kerasmlp.comparison.rounding import Rounding
from kerasmlp.data import Batches
from kerasmlp.models import compiled_mlp


def test_a_number_that_xla_replaces_by_zero_is_rounding(mnist5k):
    """A moment decays below the smallest normal number, 1.2e-38."""
    keras.utils.set_random_seed(3)
    model = compiled_mlp((28, 28, 1), 10, jit_compile=False, steps_per_execution=1)
    loops.build(model, Batches(mnist5k.train_data, mnist5k.train_label, 32))
    reference = Reference(model)
    rounding = Rounding(reference, 32)
    batch = mnist5k.train_data[:32].astype("float32"), mnist5k.train_label[:32].astype("int64")
    before = state(model)
    expected = reference.train(before, [batch])
    at = next(index for index, path in enumerate(reference.paths) if path.endswith("kernel_momentum"))
    received = [value.copy() for value in expected]
    blank = np.argwhere(expected[at] == 0)[0]
    received[at][tuple(blank)] = 1.3e-38
    assert rounding.deviation(before, [batch], expected, received).share <= 1
    received[at][tuple(blank)] = 1e-30
    assert rounding.deviation(before, [batch], expected, received).share > 1


@keras.saving.register_keras_serializable("tests")
class NotForXLA(keras.layers.Layer):
    """Multiplies by 1, with an operation on strings, which XLA does not have."""

    def call(self, x):
        length = tf.strings.length(tf.strings.as_string(tf.reduce_sum(x)))
        return x * tf.cast(length > 0, x.dtype)


def test_a_model_that_xla_cannot_compile_has_a_tight_bound_too(digits):
    images, labels = digits
    keras.utils.set_random_seed(3)
    outputs = [keras.layers.Dense(3), keras.layers.Softmax()]
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), NotForXLA(), *outputs])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
    loops.build(model, Batches(images, labels, 8))
    reference = Reference(model)
    rounding = Rounding(reference, 8)
    batch = images[:8].astype("float32") / 255, labels[:8].astype("int64")
    before = state(model)
    expected = reference.train(before, [batch])
    kernel = next(index for index, path in enumerate(reference.paths) if path.endswith("kernel"))
    received = [value.copy() for value in expected]
    received[kernel] *= 1 + 1e-3
    found = rounding.deviation(before, [batch], expected, received)
    assert found.variable == reference.paths[kernel]
    assert found.share > 1
    assert found.bound == pytest.approx(0, abs=1e-4)
