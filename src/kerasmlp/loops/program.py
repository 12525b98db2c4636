"""The program of many steps: with `jit_compile`, all steps of an execution are one XLA program.

The steps are a loop on the device, over batches that were gathered in one go. Keras launches a program
for each step, and a launch costs more than a step of a small model.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import keras
import tensorflow as tf

from kerasmlp.loops.interface import Logs, Training, TrainStep


class Groups(Protocol):
    """Batches that can be read many at a time."""

    @property
    def has_groups(self) -> bool:
        """Whether these batches can."""

    def groups(self, steps: int, initial_step: int = 0) -> tf.data.Dataset:
        """Return the batches from `initial_step` on, in groups of `steps`. `load` loads a group."""

    def load(self, group: Any, steps: int) -> tuple[tuple[tf.Tensor, tuple[Any, ...]], ...]:
        """Return for each shape of batch: how many steps to take, and the batches, stacked."""

    def prepare(self, x: Any, *rest: Any) -> tuple[Any, ...]:
        """Return a batch of a group as the train step takes it."""


class Program:
    """Takes all steps of an execution in one XLA program.

    Call it with an iterator over `groups`. It trains on the next group and returns the metrics after it.

    Attributes:
        groups: the batches from `initial_step` on, a group for each execution, without end.
        seconds_to_trace: the time that TensorFlow took to make its graph.
        seconds_to_compile: the time that XLA took.

    Raises:
        tf.errors.OpError: XLA cannot compile the step. Nothing has been trained.
    """

    def __init__(self, model: keras.Model, step: TrainStep, data: Groups, initial_step: int) -> None:
        steps = model.steps_per_execution

        def take(count: tf.Tensor, parts: tuple[tf.Tensor, ...]) -> dict[str, Any]:
            def body(number: tf.Tensor) -> tuple[tf.Tensor]:
                batch = tf.nest.map_structure(lambda part: part[number], parts)
                step(model, *data.prepare(*batch))
                return (number + 1,)

            tf.while_loop(lambda number: number < count, body, [tf.constant(0)])
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
        self._run(groups, tf.constant(True))  # a rehearsal of 0 steps, which makes XLA compile
        self.seconds_to_trace = traced - begin
        self.seconds_to_compile = time.perf_counter() - traced

    def __call__(self, groups: Any) -> dict[str, Any]:
        """Train on the next group."""
        return self._run(groups, tf.constant(False))


def make_program(training: Training, step: TrainStep) -> Program | None:
    """Return the program of an execution; None for one step at a time.

    There is a program if the model has `jit_compile` and more than one step an execution, and the data
    has groups. Where XLA cannot compile the step, a line on standard error says so, and `jit_compile` is
    set to False.
    """
    model, data = training.model, training.train
    many = model.steps_per_execution > 1 and not model.run_eagerly
    if not (model.jit_compile and many and getattr(data, "has_groups", False)):
        return None
    try:
        return Program(model, step, data, training.initial_step)  # type: ignore[arg-type]
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0]
        print(
            f"note: XLA cannot compile the train step. It runs without XLA. Reason: {reason}",
            file=sys.stderr,
        )
        model.jit_compile = False
        return None


@contextmanager
def train_function(model: keras.Model, function: Callable[[Any], Logs]) -> Iterator[None]:
    """Let `fit` call `function` for each execution, and callbacks find it as `model.train_function`.

    Keras has no public way to do so: it would replace the function by its own. What it is worth: an
    epoch of MNIST takes Keras' `fit` 11 times as long (`python -m benchmarks --parts epochs`).
    """
    model.make_train_function = lambda force=False: None  # Keras would make its own
    model.train_function = function
    try:
        yield
    finally:
        del model.make_train_function
        model.train_function = None
