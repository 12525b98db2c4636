"""How a train step becomes the function that runs N steps: `jit_compile` and `steps_per_execution`."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

TrainStep = Callable[..., tf.Tensor]
RunSteps = Callable[[Any, Any], dict[str, Any]]
"""Takes an iterator over batches and a number of steps; returns the metrics after them."""


def uncompiled(model: keras.Model, train_step: TrainStep) -> RunSteps:
    """Return a function that runs `train_step` op by op."""

    def run(batches: Any, steps: int) -> dict[str, Any]:
        for _ in range(steps):
            train_step(model, *next(batches))
        return model.get_metrics_result()

    return run


def compiled(model: keras.Model, train_step: TrainStep) -> RunSteps:
    """Return a function that runs `train_step` in a graph, through XLA if `model.jit_compile`."""

    def one_step(*batch: Any) -> None:
        train_step(model, *batch)

    if model.jit_compile:
        one_step = tf.function(one_step, jit_compile=True, autograph=False, reduce_retracing=True)

    def run(batches: Any, steps: tf.Tensor) -> dict[str, Any]:
        def body(step: tf.Tensor) -> tuple[tf.Tensor]:
            one_step(*next(batches))
            return (step + 1,)

        tf.while_loop(lambda step: step < steps, body, [tf.constant(0)])
        return model.get_metrics_result()

    run = tf.function(run, autograph=False, reduce_retracing=True)
    # As a tensor: each new Python number would be traced anew.
    return lambda batches, steps: run(batches, tf.constant(steps))
