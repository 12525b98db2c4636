"""Trainings that stop, fail and go on in any order call the hooks that Keras' `fit` calls.

`--hypothesis-profile thorough` tries many more orders.
"""

import functools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from kerasmlp.data.epochs import Epochs
from kerasmlp.data.tensors import without_tuner
from kerasmlp.loops import LOOPS
from small_models import Recorder

ORDERS = settings(max_examples=settings().max_examples // 12, stateful_step_count=6)


class Numbers(Epochs):
    """Batches of numbers, of which no two steps have the same. The last batch may be smaller."""

    batch_size = 2

    def __init__(self, examples):
        self._examples = examples

    @property
    def steps_per_epoch(self):
        return -(-self._examples // self.batch_size)

    def epoch(self, epoch, first_step=0):
        numbers = self._numbers(epoch, first_step)[:, None]
        dataset = tf.data.Dataset.from_tensor_slices((numbers, numbers))
        return without_tuner(dataset.batch(self.batch_size))

    def _numbers(self, epoch, first_step):
        return np.arange(first_step * self.batch_size, self._examples) + 100 * epoch

    def sum(self, epoch, step):
        """The sum of a batch."""
        return int(self._numbers(epoch, step)[: self.batch_size].sum())


VALIDATION = Numbers(5)
GROUPS = 1, 3
"""Steps an execution: each is another trace of every loop."""


class Sums(keras.Model):
    """Counts its steps, and adds up what it is trained on, so that the sum depends on the order."""

    def __init__(self):
        super().__init__()
        options = {"shape": (), "dtype": "int64", "initializer": "zeros", "trainable": False}
        self.steps, self.sum = self.add_weight(**options), self.add_weight(**options)

    def call(self, x):
        return x

    def train_step(self, data):
        self.steps.assign_add(1)
        self.sum.assign(added(self.sum, tf.reduce_sum(data[0])))
        return {"steps": self.steps + 0, "sum": self.sum + 0}

    def test_step(self, data):
        return {"sum": tf.reduce_sum(data[0])}


def added(sum, number):
    return (31 * sum + number) % 1_000_003


@functools.cache
def model(loop, group):
    """The model that a loop trains, `group` steps an execution. Keras keeps what it has traced of it."""
    model = Sums()
    model.compile("sgd", "mse", jit_compile=False, steps_per_execution=group)
    return model


class EndError(Exception):
    pass


class Ends(Recorder):
    """Notes what it hears. At one of the hooks it fails, or stops the training."""

    def __init__(self, at, fails):
        super().__init__(None if fails else at)
        self._fails_at = at if fails else None

    def note(self, hook, *arguments):
        *numbers, logs = arguments
        super().note(hook, *numbers, logs or {})
        if len(self.heard) == self._fails_at:
            raise EndError


class Training(RuleBasedStateMachine):
    """A training that each time goes on with another loop, from the step that it has come to."""

    @initialize(examples=st.integers(1, 14), steps=st.integers(0, 9))
    def begins(self, examples, steps):
        """Some steps have been taken before."""
        self.data = Numbers(examples)
        self.steps, self.sum = steps, 0

    @rule(
        data=st.data(),
        group=st.sampled_from(GROUPS),
        epochs=st.integers(1, 2),
        validates=st.booleans(),
        at=st.none() | st.integers(1, 12),
        fails=st.booleans(),
    )
    def goes_on(self, data, group, epochs, validates, at, fails):
        epoch, within = divmod(self.steps, self.data.steps_per_epoch)
        loops = [*LOOPS] if within else [*LOOPS, "Keras' fit"]  # which begins with whole epochs
        loop = data.draw(st.sampled_from(loops), "loop")
        epochs += epoch
        trained, heard, expected = model(loop, group), Ends(at, fails), Ends(at, fails)
        trained.steps.assign(self.steps)
        trained.sum.assign(self.sum)
        train = functools.partial(self.train, loop, trained, heard, self.steps, epochs, validates)
        try:
            self.as_keras(expected, epochs, group, validates)
        except EndError:
            with pytest.raises(EndError):
                train()
        else:
            ends = [logs for hook, *_, logs in expected.heard if hook == "epoch_end"]
            assert train() == {name: [logs[name] for logs in ends] for name in ends[0]}
        assert heard.heard == expected.heard
        assert (int(trained.steps), int(trained.sum)) == (self.steps, self.sum)
        assert trained.steps_per_execution == group
        assert "make_train_function" not in vars(trained), "Keras' own fit can train it"

    def train(self, loop, trained, heard, start, epochs, validates):
        validation = VALIDATION.epoch(0) if validates else None
        if loop in LOOPS:
            return LOOPS[loop](trained, self.data, validation, epochs, [heard], start)
        epoch = tf.Variable(0, dtype=tf.int64)
        follow = keras.callbacks.LambdaCallback(on_epoch_begin=lambda number, logs: epoch.assign(number))
        return trained.fit(
            self.data.epoch(0).map(lambda x, y: (x + 100 * epoch, y)),
            validation_data=validation,
            initial_epoch=start // self.data.steps_per_epoch,
            epochs=epochs,
            callbacks=[follow, heard],
            shuffle=False,
            verbose=0,
        ).history

    def as_keras(self, callback, epochs, group, validates):
        """Call what Keras' `fit` calls, without what belongs to the steps that have been taken."""
        control = types.SimpleNamespace(stop_training=False)
        callback.set_model(control)
        callback.on_train_begin()
        initial_epoch, within = divmod(self.steps, self.data.steps_per_epoch)
        for epoch in range(initial_epoch, epochs):
            callback.on_epoch_begin(epoch)
            for begin in range(within // group * group, self.data.steps_per_epoch, group):
                first, end = max(begin, within), min(begin + group, self.data.steps_per_epoch)
                callback.on_train_batch_begin(first)
                for step in range(first, end):
                    self.steps, self.sum = self.steps + 1, added(self.sum, self.data.sum(epoch, step))
                logs = {"steps": self.steps, "sum": self.sum}
                callback.on_train_batch_end(begin + group - 1, logs)
                if control.stop_training:
                    break
            within = 0
            if validates:
                logs = {**logs, "val_sum": self.validate_as_keras(callback, group)}
            callback.on_epoch_end(epoch, logs)
            if control.stop_training:
                break
        callback.on_train_end(logs)

    def validate_as_keras(self, callback, group):
        callback.on_test_begin()
        for begin in range(0, VALIDATION.steps_per_epoch, group):
            last = min(begin + group, VALIDATION.steps_per_epoch) - 1
            logs = {"sum": VALIDATION.sum(0, last)}
            callback.on_test_batch_begin(begin)
            callback.on_test_batch_end(begin + group - 1, logs)
        callback.on_test_end(logs)
        return logs["sum"]


def test_a_training_calls_the_hooks_of_keras_fit():
    run_state_machine_as_test(Training, settings=ORDERS)
