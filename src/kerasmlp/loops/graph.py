"""The `graph` loop: the hand-written train step under `tf.function`, traced once."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.loops.callback_list import CallbackList
from kerasmlp.loops.epochs import by_batches, run_epochs
from kerasmlp.loops.interface import History, ResumableLoop, Training, TrainStep, build_metrics
from kerasmlp.loops.program import make_program, train_function
from kerasmlp.loops.step import parts, train_step


def traced(step: TrainStep) -> ResumableLoop:
    """Return the loop that runs `step` under `tf.function`.

    Args:
        step: takes `(model, x, y)` and optionally sample weights, as `train_step` does.
    """

    def loop(training: Training) -> History:
        callbacks = CallbackList(training)
        if step is not train_step:  # which may leave the metrics as they are, so that none is created
            build_metrics(training.model, training.train)
        program = make_program(training, step)
        if program is None:
            begin_epoch = by_batches(training.train, compiled(training.model, step))
            return run_epochs(training, callbacks, begin_epoch)
        groups = iter(program.groups)
        with train_function(training.model, program):
            return run_epochs(training, callbacks, lambda *_: lambda steps: program(groups))

    return ResumableLoop(loop)


graph = traced(train_step)
"""Trains with `train_step` under `tf.function`."""


def compiled(model: keras.Model, step: TrainStep) -> Callable[[Any, int], dict[str, Any]]:
    """Return a function that runs `step` in a graph, through XLA if `model.jit_compile`."""

    def one_step(*batch: Any) -> None:
        step(model, *batch)

    if model.jit_compile:
        one_step = tf.function(one_step, jit_compile=True, autograph=False, reduce_retracing=True)

    def run(batches: Any, steps: tf.Tensor) -> dict[str, Any]:
        def body(done: tf.Tensor) -> tuple[tf.Tensor]:
            one_step(*parts(next(batches)))
            return (done + 1,)

        tf.while_loop(lambda done: done < steps, body, [tf.constant(0)])
        return model.get_metrics_result()

    run = tf.function(run, autograph=False, reduce_retracing=True)
    # The number of steps is passed as a tensor: each new Python number would be traced anew.
    return lambda batches, steps: run(batches, tf.constant(steps))
