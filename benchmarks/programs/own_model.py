"""A model of one's own, trained by `kerasmlp.fit` as in a notebook: Keras is imported by the user."""

import keras
import numpy as np

import kerasmlp

model = keras.Sequential([keras.layers.Dense(100, "relu"), keras.layers.Dense(10)])
model.compile("adam", "mse", jit_compile=True)
x = np.random.default_rng(0).random((10_000, 20), np.float32)
kerasmlp.fit(model, x, x[:, :10], epochs=5, validation_split=0.1, steps_per_execution="auto")
