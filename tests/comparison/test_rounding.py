"""The bound on rounding: it explains rounding, and nothing else."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.comparison.deviation import shares
from kerasmlp.comparison.longest_sum import longest_sum
from kerasmlp.comparison.reference import Reference, state
from kerasmlp.comparison.rounding import Rounding, StepBound
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.start import start_from
from kerasmlp.comparison.trajectory import check_loop
from kerasmlp.data import Batches
from kerasmlp.models import compiled_mlp


def test_a_number_that_xla_replaces_by_zero_is_rounding(mnist5k):
    """A moment decays below the smallest normal number, 1.2e-38."""
    keras.utils.set_random_seed(3)
    model = compiled_mlp((28, 28, 1), 10, jit_compile=False, steps_per_execution=1)
    train = Batches(mnist5k.train_data, mnist5k.train_label, 32)
    loops.build(model, train)
    reference, heard = Reference(model), []
    rounding = Rounding(reference, train, lambda: heard.append("working"))
    batch = mnist5k.train_data[:32].astype("float32"), mnist5k.train_label[:32].astype("int64")
    before = state(model)
    expected = reference.train(before, [batch])
    at = next(index for index, path in enumerate(reference.paths) if path.endswith("kernel_momentum"))
    received = [value.copy() for value in expected]
    blank = expected[at] == 0  # the weights of pixels that are 0 in all images
    assert blank.mean() > 0.1
    received[at][blank] = 1.3e-38
    bound = StepBound(rounding, before, [batch], expected)
    assert bound.deviation(received).share <= 1

    assert len(heard) >= 4, "one for each step of a measurement"
    received[at][blank] = 1e-30
    assert bound.deviation(received).share > 1


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
    train = Batches(images, labels, 8)
    loops.build(model, train)
    reference = Reference(model)
    rounding = Rounding(reference, train)
    batch = images[:8].astype("float32") / 255, labels[:8].astype("int64")
    before = state(model)
    expected = reference.train(before, [batch])
    kernel = next(index for index, path in enumerate(reference.paths) if path.endswith("kernel"))
    received = [value.copy() for value in expected]
    received[kernel] *= 1 + 1e-3
    found = StepBound(rounding, before, [batch], expected).deviation(received)
    assert found.variable == reference.paths[kernel]
    assert found.share > 1
    assert found.bound == pytest.approx(0, abs=1e-4)


class Convolution(keras.Model):
    """Its layers have no `output`, since it is no functional model."""

    def __init__(self):
        super().__init__()
        self.convolution, self.flatten = keras.layers.Conv2D(4, 3), keras.layers.Flatten()
        self.head = keras.layers.Dense(3)

    def call(self, x):
        return self.head(self.flatten(self.convolution(x)))


@pytest.mark.parametrize(
    "layers, shape, dtype, terms",
    [
        ([keras.layers.Dense(3)], [None, 100], tf.float32, 100),  # the inputs of a unit
        ([keras.layers.Dense(3)], [None, 5], tf.float32, 8),  # the examples of a batch
        ([keras.layers.Conv2D(2, 3)], [None, 6, 6, 1], tf.float32, 8 * 4 * 4),  # and the positions
        ([keras.layers.Embedding(9, 2)], [None, 7], tf.int32, 8 * 7),
        ([keras.layers.Embedding(9, 2), keras.layers.LSTM(2)], [None, 7], tf.int32, 8 * 7),
        ([Convolution()], [None, 6, 6, 1], tf.float32, 8 * 4 * 4),
    ],
)
def test_the_longest_sum_of_a_step(layers, shape, dtype, terms):
    model = keras.Sequential([keras.Input(shape[1:], dtype=dtype.name), *layers])
    assert longest_sum(model, 8, tf.TensorSpec(shape, dtype)) == terms


def test_the_draws_may_miss_few_numbers_and_no_large_ones():
    bound = np.full((100, 10), 1e-6)
    bound[0] = 0.0  # a unit that no draw moved
    few, many, large = (np.zeros((100, 10)) for _ in range(3))
    few[0] = 5e-7
    many[:3] = 2e-6
    large[0, 0] = 1e-5
    assert shares(few, bound).max() == 1
    assert shares(np.where(bound == 0, 0, 9e-7), bound).max() == pytest.approx(0.9)
    assert shares(many, bound).max() > 1
    assert shares(large, bound).max() > 1
    many_unmoved = np.zeros((100, 10))
    many_unmoved[:5] = 1e-7
    assert shares(many_unmoved, np.where(many_unmoved > 0, 0.0, 1e-6)).max() > 1


@pytest.mark.thorough
def test_an_execution_of_many_steps_that_amplifies_rounding_is_equal():
    """The model of keras-team/keras#19953: in 40 steps, units switch that switch in no draw."""
    numbers = np.random.default_rng(0)
    x, y = numbers.normal(size=(20_000, 100)), numbers.integers(0, 10, 20_000)

    def wide():
        units = [keras.layers.Dense(128, "relu") for _ in range(10)]
        model = keras.Sequential([keras.Input((100,)), *units, keras.layers.Dense(10, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
        return model

    rows = [Row.parse(name) for name in ("fit+jit@50", "fit")]
    with start_from(wide, (x, y), 500, 0) as start:
        model, reference = (row.compile(start.new_model()) for row in rows)
        found = check_loop(loops.LOOPS["fit"], model, reference, start, 1)
    assert found.divergence is None
