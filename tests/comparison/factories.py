"""Functions that make models, also by name on a command line; the last ones make unusable models."""

import keras
from keras import layers


def cnn(image=(28, 28, 1), classes=10, *, mixed=False, ema=False, dropout=True):
    """A functional model with convolution, batch normalisation, dropout and L2."""
    policy = "mixed_float16" if mixed else "float32"
    # A weaker penalty would be within rounding in one step, because ReLU units switch.
    l2 = keras.regularizers.L2(2e-1)
    x = inputs = keras.Input(image)
    x = layers.Conv2D(8, 3, strides=2, kernel_regularizer=l2, use_bias=False, dtype=policy)(x)
    x = layers.BatchNormalization(dtype=policy)(x)
    x = layers.Flatten()(layers.ReLU(dtype=policy)(x))
    return _with_output(inputs, x, classes, mixed, ema, dropout)


def mlp(image=(28, 28, 1), classes=10, *, mixed=False, ema=False, dropout=True):
    """The handbook's MLP, with dropout and L2."""
    policy = "mixed_float16" if mixed else "float32"
    l2 = keras.regularizers.L2(1e-3)
    inputs = keras.Input(image)
    x = layers.Dense(100, "relu", kernel_regularizer=l2, dtype=policy)(layers.Flatten()(inputs))
    return _with_output(inputs, x, classes, mixed, ema, dropout)


def small():
    """The MLP for the images of `digits`."""
    return mlp((6, 6, 1), 3)


def _with_output(inputs, x, classes, mixed, ema, dropout):
    """Add the output layer, and compile the model."""
    policy = "mixed_float16" if mixed else "float32"
    if dropout:
        x = layers.Dropout(0.3, seed=1, dtype=policy)(x)
    x = layers.Dense(classes, dtype=policy)(x)
    model = keras.Model(inputs, layers.Softmax(dtype="float32")(x))
    optimizer = keras.optimizers.Adam(0.001, use_ema=ema)
    model.compile(
        optimizer=keras.optimizers.LossScaleOptimizer(optimizer) if mixed else optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    return model


def uncompiled():
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10)])


def nothing():
    return None
