"""How a train step becomes the function that runs N steps: `jit_compile` and `steps_per_execution`.

With both, the N steps are one XLA program, a loop on the device over batches gathered in bulk; a launch
for each step, as Keras has it, costs more than this project's step itself.
"""

import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import keras
import tensorflow as tf

TrainStep = Callable[..., Any]
"""Takes the model, x, y and maybe sample weights; trains on the batch and updates the metrics."""
RunSteps = Callable[[Any, Any], dict[str, Any]]
"""Takes an iterator over batches and a number of steps; returns the metrics after them."""


UPDATE_SECONDS = 0.25
"""At most so long an execution should take, so that callbacks and Ctrl-C have their turn."""
SLOW_FLOPS = 2e10
"""Operations a second that even a slow machine reaches: this program reaches 5 to 10 times as many on 2
cores."""
STEP_SECONDS = 3e-5
"""What a step costs beside its arithmetic."""
SPREAD_STEP_SECONDS = 5e-3
"""What it costs where several processes exchange their gradients."""
GROUP_BYTES = 2**26
"""At most so much memory the batches of an execution should take."""


def responsive_steps(
    parameters: int,
    batch_size: int,
    example_bytes: int,
    steps_per_epoch: int,
    step_seconds: float = STEP_SECONDS,
) -> int:
    """Return how many steps of an MLP make an execution that is still short.

    Args:
        parameters: of the model; each takes part in 6 operations an example, 2 in each of the forward
            pass, the gradient by the weights and the gradient by the activations.
        batch_size: examples a step.
        example_bytes: of an example.
        steps_per_epoch: where an execution ends in any case.
        step_seconds: what a step costs beside its arithmetic.
    """
    seconds = step_seconds + 6 * parameters * batch_size / SLOW_FLOPS
    in_memory = GROUP_BYTES // (batch_size * example_bytes)
    return max(1, min(int(UPDATE_SECONDS / seconds), in_memory, steps_per_epoch))


class Groups(Protocol):
    """Batches that can be had many at once."""

    def groups(self, steps: int, initial_step: int = 0) -> tf.data.Dataset:
        """Return the batches from `initial_step` on in groups of `steps`, to be loaded by `load`."""

    def load(self, group: Any, steps: int) -> tuple[tuple[tf.Tensor, tuple[tf.Tensor, ...]], ...]:
        """Return how many steps to take, and the parts of the batches, stacked, for each shape."""

    def prepare(self, *batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return a batch of a group as the train step takes it."""


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


class Program:
    """The program that takes all steps of an execution, compiled by XLA as a whole.

    Called with an iterator over `groups`, it trains on the next one and returns the metrics after it.

    Args:
        model: compiled and built; `steps_per_execution` says how many steps make an execution.
        train_step: to be taken for each batch.
        data: the batches.
        initial_step: the number of the first step to take, from 0.

    Attributes:
        groups: of the batches, an execution each, epoch after epoch without end.
        seconds_to_trace: what making TensorFlow's graph took.
        seconds_to_compile: what XLA took.

    Raises:
        tf.errors.OpError: XLA cannot compile the step. Nothing has been trained.
    """

    def __init__(
        self, model: keras.Model, train_step: TrainStep, data: Groups, initial_step: int
    ) -> None:
        steps = model.steps_per_execution

        def take(count: tf.Tensor, parts: tuple[tf.Tensor, ...]) -> dict[str, Any]:
            def body(step: tf.Tensor) -> tuple[tf.Tensor]:
                train_step(model, *data.prepare(*(part[step] for part in parts)))
                return (step + 1,)

            tf.while_loop(lambda step: step < count, body, [tf.constant(0)])
            return model.get_metrics_result()

        take = tf.function(take, jit_compile=True, autograph=False)

        def run(groups: Any, rehearsal: tf.Tensor) -> dict[str, Any]:
            for count, parts in data.load(next(groups), steps):
                logs = take(tf.where(rehearsal, 0, count), parts)
            return logs

        self._run = tf.function(run, autograph=False, reduce_retracing=True)
        self.groups = data.groups(steps, initial_step)
        groups = iter(self.groups)
        begin = time.perf_counter()
        self._run.get_concrete_function(groups, tf.constant(True))
        traced = time.perf_counter()
        self._run(groups, tf.constant(True))
        self.seconds_to_trace = traced - begin
        self.seconds_to_compile = time.perf_counter() - traced

    def __call__(self, groups: Any) -> dict[str, Any]:
        """Train on the next group."""
        return self._run(groups, tf.constant(False))


def program(
    model: keras.Model, train_step: TrainStep, data: Any, initial_step: int = 0
) -> Program | None:
    """Return the program of an execution, or None where there is to be none, or can be none.

    There is one if `model` has `jit_compile` and more than one step an execution, and `data` has groups.
    Where XLA cannot compile the step, a line on standard error says so, and `jit_compile` is
    set to False.
    """
    many = model.steps_per_execution > 1 and not model.run_eagerly
    if not (model.jit_compile and many and hasattr(data, "groups")):
        return None
    try:
        return Program(model, train_step, data, initial_step)
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0]
        print(
            f"note: XLA cannot compile the train step, so it is run without: {reason}", file=sys.stderr
        )
        model.jit_compile = False
        return None
