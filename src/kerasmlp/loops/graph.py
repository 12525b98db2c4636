"""The `graph` loop: the hand-written train step under `tf.function`, traced once."""

from typing import Any

import keras
import tensorflow as tf

from kerasmlp.loops.callback_list import CallbackList
from kerasmlp.loops.eager import eager_steps
from kerasmlp.loops.epochs import run_epochs
from kerasmlp.loops.interface import History, ResumableLoop, Training, build_metrics
from kerasmlp.loops.repeat import repeat
from kerasmlp.loops.step import Logs, Note, TrainStep, logs_after, take, train_step
from kerasmlp.loops.train_function import Steps, train_functions


def traced(step: TrainStep) -> ResumableLoop:
    """Return the loop that runs `step` under `tf.function`; eagerly, if the model has `run_eagerly`.

    Args:
        step: takes `(model, x, y)` and optionally sample weights, as `train_step` does.
    """

    def loop(training: Training) -> History:
        model, callbacks = training.model, CallbackList(training)
        if step is not train_step:  # which may leave the metrics as they are, so that none is created
            build_metrics(model, training.train)

        def make_steps(note: Note) -> Steps:
            return eager_steps(model, step) if model.run_eagerly else compiled_steps(model, step, note)

        with train_functions(training, callbacks, make_steps, step):
            return run_epochs(training, callbacks)

    return ResumableLoop(loop)


graph = traced(train_step)
"""Trains with `train_step` under `tf.function`."""


def compiled_steps(model: keras.Model, step: TrainStep, note: Note) -> Steps:
    """Return a function that runs `step` in a graph, through XLA if `model.jit_compile`."""

    def take_one(batch: Any) -> Logs:
        note()
        return logs_after(model, take(step, model, batch))

    one_step = tf.function(
        take_one,
        jit_compile=model.jit_compile,
        autograph=False,
        reduce_retracing=True,
    )

    def run(batches: Any, steps: tf.Tensor) -> Logs:
        return repeat(lambda number: one_step(next(batches)), steps)

    run = tf.function(run, autograph=False, reduce_retracing=True)
    # The number of steps is passed as a tensor: each new Python number would be traced anew.
    return lambda batches, steps, has_more: run(batches, tf.constant(steps))
