"""The `eager` loop: the same train step without `tf.function`, as in the handbook."""

from typing import Any

import keras

from kerasmlp.loops.callback_list import CallbackList
from kerasmlp.loops.epochs import run_epochs
from kerasmlp.loops.interface import History, ResumableLoop, Training
from kerasmlp.loops.step import Logs, TrainStep, logs_after, take, train_step
from kerasmlp.loops.train_function import Steps, train_functions


@ResumableLoop
def eager(training: Training) -> History:
    """Train with `train_step`, operation by operation."""
    callbacks = CallbackList(training)
    with train_functions(
        training, callbacks, lambda note: eager_steps(training.model, train_step), None
    ):
        return run_epochs(training, callbacks)


def eager_steps(model: keras.Model, step: TrainStep) -> Steps:
    """Return a function that runs `step` operation by operation."""

    def run(batches: Any, steps: int, has_more: bool) -> Logs:
        for _ in range(steps):
            returned = take(step, model, next(batches))
        return logs_after(model, returned)

    return run
