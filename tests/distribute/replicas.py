"""Trains small models on four logical CPUs beside one; prints how far apart they end, as JSON.

A program of its own, since logical CPUs are made before TensorFlow is used.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from helpers import compiled
from kerasmlp.callbacks.losses import BatchLosses
from kerasmlp.data.batches import Batches
from kerasmlp.distribute.strategy import distribution
from kerasmlp.loops.builtin import LOOPS

distribution("mirrored", 4)
spread_over = distribution("mirrored", 4)  # as for a second run of a process
TWO = ["CPU:0", "CPU:1"]


def layers():
    return [
        keras.layers.Flatten(),
        keras.layers.Dense(8, activation="relu", kernel_regularizer=keras.regularizers.L2(0.05)),
        keras.layers.Dense(3, activation="softmax"),
    ]


def momentum():
    """A gradient twice as large is a step twice as large, as it is not with Adam."""
    return keras.optimizers.SGD(0.1, momentum=0.9)


class Weighted(Batches):
    """Batches whose examples weigh 0, 1, 2, 3, 0, 1, ..."""

    def epoch(self, epoch, first_step=0):
        return (
            super().epoch(epoch, first_step).map(lambda x, y: (x, y, keras.ops.cast(y % 4, "float32")))
        )


class Losses(keras.callbacks.Callback):
    """Keeps the loss of each batch."""

    def __init__(self):
        super().__init__()
        self.source, self.all = BatchLosses(), []

    def on_train_batch_end(self, batch, logs=None):
        self.all += [step.loss for step in self.source.latest]


def trained(loop, kind, batch_size, steps):
    model, losses = compiled(layers, optimizer=momentum, steps_per_execution=steps), Losses()
    random = np.random.default_rng(1)
    images = random.integers(0, 255, size=(40, 6, 6, 1)).astype(np.uint8)
    labels = random.integers(3, size=40).astype(np.uint8)
    history = loop(model, kind(images, labels, batch_size), None, 2, [losses.source, losses])
    variables = *model.variables, *model.optimizer.variables
    states = [variable.numpy().astype(float) for variable in variables]
    return [*states, np.array(losses.all), *(np.array(history[key]) for key in sorted(history))]


def kerases_own(strategy):
    """Keras' fit of 11 images by 8, in the strategy's scope or not: the weights."""
    with strategy.scope():
        model = compiled(layers)
    random = np.random.default_rng(1)
    images = random.random((11, 6, 6, 1), np.float32)
    labels = random.integers(3, size=11)
    model.fit(tf.data.Dataset.from_tensor_slices((images, labels)).batch(8), verbose=0)
    return model.get_weights()


CASES = [
    ("fit", Batches, 3, 5),  # at the end 1: three of four have no example
    ("graph", Batches, 2, 1),
    ("graph", Weighted, 11, 1),
    ("graph", Batches, 7, 4),  # 7 by 4; at the end 5
    ("fit", Batches, 7, 1),
    ("fit", Weighted, 11, 2),
][: int(sys.argv[1])]

found = {"ours": []}
for name, kind, batch_size, steps in CASES:
    one = trained(LOOPS[name], kind, batch_size, steps)
    four = trained(spread_over.loop(name), kind, batch_size, steps)
    assert [part.shape for part in one] == [part.shape for part in four]
    found["ours"].append(max(float(np.abs(a - b).max()) for a, b in zip(one, four, strict=True)))
if len(CASES) > 2:
    one, two = map(kerases_own, (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(TWO)))
    apart = max(float(np.abs(a - b).max()) for a, b in zip(one, two, strict=True))
    found["Keras' own"] = apart
json.dump(found, sys.stdout)
