"""Small models that several packages are tested on, by name; and a callback that keeps what it hears."""

import keras
from keras import layers, regularizers

from helpers import compiled
from kerasmlp.models import compiled_mlp


def dense():
    return [layers.Flatten(), layers.Dense(8, activation="relu"), layers.Dense(3), layers.Softmax()]


def regularised():
    l2 = regularizers.L2(0.01)
    hidden = layers.Dense(8, activation="relu", kernel_regularizer=l2)
    return [layers.Flatten(), hidden, layers.Dense(3), layers.Softmax()]


def dropout():
    return [
        layers.Flatten(),
        layers.Dense(8),
        layers.Dropout(0.5, seed=4),
        layers.Dense(3),
        layers.Softmax(),
    ]


def batch_normalisation():
    # No bias before it: its gradient is zero but for rounding, which Adam makes into whole steps.
    hidden = layers.Dense(8, use_bias=False)
    return [layers.Flatten(), hidden, layers.BatchNormalization(), layers.Dense(3), layers.Softmax()]


def convolution():
    return [
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.3, seed=1),
        layers.Dense(3),
        layers.Softmax(),
    ]


def half_precision():
    return [layers.Flatten(), layers.Dense(8), layers.Dense(3), layers.Softmax(dtype="float32")]


def average():
    return keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)


def schedule():
    return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 12), momentum=0.9)


def accumulate():
    return keras.optimizers.AdamW(0.01, gradient_accumulation_steps=2, clipnorm=1.0)


def overflowing():
    # Scaled by 2^40 the gradients overflow in half precision: the first steps are left out.
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=2.0**40)


MODELS = {
    "plain": {"layers": dense},
    "L2": {"layers": regularised},
    "dropout": {"layers": dropout},
    "batch normalisation": {"layers": batch_normalisation},
    "convolution": {"layers": convolution},
    "mixed precision": {"layers": half_precision, "dtype": "mixed_float16"},
    "loss scale": {"layers": half_precision, "dtype": "mixed_float16", "optimizer": overflowing},
    "EMA": {"layers": dense, "optimizer": average},
    "schedule": {"layers": dense, "optimizer": schedule},
    "gradient accumulation": {"layers": dense, "optimizer": accumulate},
}


def mlp(quantize, **compilation):
    keras.utils.set_random_seed(3)
    return compiled_mlp((6, 6, 1), 3, hidden_units=(8,), quantize=quantize, **compilation)


class Loud(layers.Layer):
    """Another output in training; and it trains, unless it is told not to."""

    def call(self, x, training=True):
        return 1 - x if training else x


def compiled_dense(optimizer=None):
    """The model `dense`, compiled."""
    return compiled(dense, optimizer=optimizer)


class Recorder(keras.callbacks.Callback):
    """Notes every hook that is called, with its number and the names and values of its logs."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.heard = []
        self.stop_at = stop_at

    def note(self, hook, *arguments):
        self.heard.append((hook, *arguments))
        if self.stop_at is not None and len(self.heard) == self.stop_at:
            self.model.stop_training = True


for hook in ("train_begin", "train_end", "test_begin", "test_end"):
    setattr(Recorder, f"on_{hook}", lambda self, logs=None, hook=hook: self.note(hook, logs))
for hook in ("epoch_begin", "epoch_end"):
    setattr(Recorder, f"on_{hook}", lambda self, n, logs=None, hook=hook: self.note(hook, n, logs))
for hook in ("train_batch_begin", "train_batch_end", "test_batch_begin", "test_batch_end"):
    setattr(Recorder, f"on_{hook}", lambda self, n, logs=None, hook=hook: self.note(hook, n, logs))
