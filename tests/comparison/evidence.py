"""What is known of a wrong step, made by hand: no loop, and nothing is compiled."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

import kinds
from kerasmlp.comparison.reference import RIGHT, Reference, restore, state
from kerasmlp.comparison.wrong_steps import Evidence


class Scene:
    """A model that has been trained for a step, and the batch of its next one.

    `initial` is the state before the first step; `before` and `expected` are those around the next one.
    """

    def __init__(self, make_model, data=None):
        self.model = model = make_model()
        parts = kinds.data_of(make_model) if data is None else data
        first, self.batch = (
            tf.nest.map_structure(lambda part, at=at: tf.constant(part[at : at + 8]), parts)
            for at in (0, 8)
        )
        model(self.batch[0])
        model.optimizer.build(model.trainable_variables)
        self.reference = Reference(model)
        self.initial = state(model)
        self.before = self.reference.take(RIGHT, self.initial, [first])
        self.expected = self.reference.take(RIGHT, self.before, [self.batch])

    def evidence(self, received=None, **others):
        """What is known of a loop with the compiled optimizer, whose step ended in `received`."""
        known = Evidence(
            model=self.model,
            initial=self.initial,
            before=self.before,
            expected=self.expected,
            received=self.expected if received is None else received,
            batches=[self.batch],
            drawn=[self.batch],
            optimizer=self.model.optimizer,
            slots=self.before[len(self.model.variables) :],
            has_own_optimizer=False,
            is_new=False,
            unheard=self.before,
        )
        return dataclasses.replace(known, **others)

    def after(self, wrong):
        """The state after a wrong step; None if it is not possible."""
        before = self.before if wrong.before is None else wrong.before(self.before)
        batches = [self.batch] if wrong.batches is None else wrong.batches
        try:
            return self.reference.take(wrong.step, before, batches)
        except Exception:
            return None

    def all_after(self, wrong_steps):
        """The states after the wrong steps that are possible, in a list for each name."""
        found = {}
        for wrong in wrong_steps:
            if (after := self.after(wrong)) is not None:
                found.setdefault(wrong.name, []).append(after)
        return found

    def trained(self, loss, *, training=True, change=None, before=None, batch=None, optimizer=None):
        """The state after a step with the gradients of `loss(y, y_pred, sample_weight)`, changed.

        `before` and `batch` may be other ones, and the optimizer too.
        """
        model = self.model
        restore(model, self.before if before is None else before)
        x, y, weight = keras.utils.unpack_x_y_sample_weight(self.batch if batch is None else batch)
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=training), weight)
        gradients = tape.gradient(value, model.trainable_variables)
        gradients = gradients if change is None else change(gradients)
        (optimizer or model.optimizer).apply(gradients, model.trainable_variables)
        return state(model)

    def right_loss(self, y, y_pred, weight):
        """The compiled loss, with the penalties."""
        return self.model.compute_loss(None, y, y_pred, weight)


def assert_close(received, expected):
    for one, other in zip(received, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-7)


def assert_differs(one, other):
    assert any(not np.allclose(a, b, rtol=1e-4, atol=1e-7) for a, b in zip(one, other, strict=True))
