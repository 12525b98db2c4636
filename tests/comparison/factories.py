"""Factories of models, to be named on a command line: right ones, and ones that are not."""

import keras
from keras import layers


def cnn(image=(28, 28, 1), classes=10, *, mixed=False, ema=False, dropout=True):
    """A functional model with convolution, batch normalisation, dropout and L2."""
    policy = "mixed_float16" if mixed else "float32"
    # So strong that one step tells: less is within what rounding does where units of ReLU switch.
    l2 = keras.regularizers.L2(2e-1)
    x = inputs = keras.Input(image)
    x = layers.Conv2D(8, 3, strides=2, kernel_regularizer=l2, use_bias=False, dtype=policy)(x)
    x = layers.BatchNormalization(dtype=policy)(x)
    x = layers.Flatten()(layers.ReLU(dtype=policy)(x))
    return _ended(inputs, x, classes, mixed, ema, dropout)


def mlp(image=(28, 28, 1), classes=10, *, mixed=False, ema=False, dropout=True):
    """The handbook's, with dropout and L2."""
    policy = "mixed_float16" if mixed else "float32"
    l2 = keras.regularizers.L2(1e-3)
    inputs = keras.Input(image)
    x = layers.Dense(100, "relu", kernel_regularizer=l2, dtype=policy)(layers.Flatten()(inputs))
    return _ended(inputs, x, classes, mixed, ema, dropout)


def _ended(inputs, x, classes, mixed, ema, dropout):
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


def own_step():
    class Model(keras.Sequential):
        def train_step(self, data):
            return super().train_step(data)

    model = Model([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model
