"""A step that draws from a generator outside Keras' seeds is known by its two ends."""

import keras
import pytest
import tensorflow as tf

import kinds
from kerasmlp.comparison.randomness import draws_outside_seeds
from kerasmlp.comparison.reference import Reference, state


class Noisy(keras.layers.Layer):
    """Adds numbers that it draws `times`, and which count `much`."""

    def __init__(self, times, much):
        super().__init__()
        self.times, self.much = times, much

    def call(self, x):
        return x + self.much * sum(tf.random.normal(tf.shape(x)) for _ in range(self.times))


def told(times, much):
    x, y = kinds.data_of(kinds.plain)
    model = keras.Sequential([keras.Input(x.shape[1:]), Noisy(times, much), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    batch = tf.constant(x[:8]), tf.constant(y[:8])
    return draws_outside_seeds(Reference(model, list, epochs=1, steps=1), state(model), batch)


@pytest.mark.parametrize("times, named", [(1, 1), (5, 3)])
def test_the_first_operations_that_draw_are_named(times, named):
    said = told(times, 1.0)
    assert said.startswith(
        "the step draws random numbers outside Keras' seeds (RandomStandardNormal in "
    )
    assert said.count("RandomStandardNormal in ") == named
    assert "keras.random.SeedGenerator(0)" in said


@pytest.mark.parametrize("times, much", [(0, 1.0), (2, 0.0)])
def test_a_step_that_draws_nothing_or_nothing_that_counts_is_known(times, much):
    assert told(times, much) is None
