"""What the checks of a small loop share, so that the step of the reference is traced once."""

import keras
import tensorflow as tf

import kinds
from kerasmlp.comparison.reference import Reference, restore, state
from kerasmlp.comparison.rounding import Rounding
from kerasmlp.data import Batches

STEPS = 3
"""Steps of an epoch: two batches of 8 examples, and a partial one of 4."""


class Bench:
    """A model and its data, and the reference.

    `optimizer` makes the optimizer of both models, `callbacks` what drives the reference.
    """

    def __init__(self, optimizer=lambda: keras.optimizers.SGD(0.1), callbacks=list):
        x, y = kinds.data_of(kinds.plain)
        self.train = Batches(x[:20], y[:20], 8, seed=3)
        self.model, reference = kinds.plain(optimizer()), kinds.plain(optimizer())
        for each in (self.model, reference):
            each.optimizer.build(each.trainable_variables)
        self.model.take = tf.function(self.model.train_step, autograph=False, reduce_retracing=True)
        self.initial = state(self.model)
        self.rounding = Rounding(Reference(reference, callbacks, epochs=2, steps=STEPS), self.train)

    def start(self):
        """Set the model back to the initial state."""
        restore(self.model, self.initial)
        self.model.stop_training = False
