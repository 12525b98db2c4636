"""What a step draws is the same in a program of TensorFlow's kernels and in one of XLA."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kerasmlp.comparison.draws import recorded, replayed

LAYERS = {
    "dropout": layers.Dropout(0.5, seed=1),
    "gaussian noise": layers.GaussianNoise(0.5, seed=1),
    "gaussian dropout": layers.GaussianDropout(0.5, seed=1),
    "alpha dropout": layers.AlphaDropout(0.5, seed=1),
    "spatial dropout": layers.SpatialDropout1D(0.5, seed=1),
}
X = np.random.default_rng(0).random((6, 5, 4), np.float32)


@pytest.mark.parametrize("name", LAYERS)
def test_both_programs_draw_what_the_layer_draws(name):
    layer, x = LAYERS[name], tf.constant(X)
    layer(x)
    seed = layer.seed_generator.state
    at = seed.numpy()

    def own():
        return layer(x, training=True)

    def drawn():
        with recorded() as draws:
            layer(x, training=True)
        return draws

    def with_draws(draws):
        with replayed(draws):
            return layer(x, training=True)

    expected = tf.function(own)()
    seed.assign(at)
    draws = tf.function(drawn)()
    assert len(draws) > 0
    for jit_compile in (False, True):
        received = tf.function(with_draws, jit_compile=jit_compile)(draws)
        np.testing.assert_allclose(received, expected, rtol=1e-6, atol=1e-6)
    seed.assign(at)
    assert not np.allclose(tf.function(own, jit_compile=True)(), expected), "then none of this is needed"


def test_outside_of_the_contexts_all_is_as_before():
    functions = tf.random.stateless_uniform, tf.nn.experimental.stateless_dropout
    with recorded() as draws:
        first, second = (
            keras.random.uniform((3,), seed=keras.random.SeedGenerator(seed)) for seed in (1, 2)
        )
    assert not np.array_equal(first, second)
    with replayed(draws):
        assert np.array_equal(keras.random.uniform((3,), seed=3), first)
        assert np.array_equal(keras.random.uniform((3,), seed=3), second)
    assert functions == (tf.random.stateless_uniform, tf.nn.experimental.stateless_dropout)
