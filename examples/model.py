"""A model as users write it: a function without arguments that returns a compiled model."""

import keras
from keras import layers


def make_model() -> keras.Model:
    """Return a small convolutional model for MNIST, compiled."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.3, seed=1),
            layers.Dense(10, kernel_regularizer=keras.regularizers.L2(1e-3)),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.001),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model
