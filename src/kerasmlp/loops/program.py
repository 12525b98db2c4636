"""The program of many steps: with `jit_compile`, all steps of an execution are one XLA program.

The steps are a loop on the device, over batches that were gathered in one go. Keras launches a program
for each step, and a launch costs more than a step of a small model.
"""

import re
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

import keras
import tensorflow as tf

from kerasmlp.loops.callback_list import Execution
from kerasmlp.loops.interface import Training
from kerasmlp.loops.repeat import repeat
from kerasmlp.loops.step import Logs, Note, TrainStep, logs_after


class Groups(Protocol):
    """Batches that can be read many at a time."""

    @property
    def has_groups(self) -> bool:
        """Whether these batches can."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""

    def groups(self, steps: int, initial_step: int = 0) -> tf.data.Dataset:
        """Return the batches from `initial_step` on, in groups of `steps`. `load` loads a group."""

    def load(self, group: Any, steps: int) -> tuple[tuple[tf.Tensor, tuple[Any, ...]], ...]:
        """Return for each shape of batch: how many steps to take, and the batches, stacked."""

    def prepare(self, x: Any, *rest: Any) -> tuple[Any, ...]:
        """Return a batch of a group as the train step takes it."""


class Program:
    """Takes all steps of an execution in one XLA program. Executions are to be taken in their order.

    Attributes:
        seconds_to_trace: the time that TensorFlow took to make its graph.
        seconds_to_compile: the time that XLA took.

    Raises:
        tf.errors.OpError: XLA cannot compile the step. Nothing has been trained.
    """

    def __init__(self, model: keras.Model, step: TrainStep, data: Groups, note: Note) -> None:
        self._steps, self._data = model.steps_per_execution, data
        self._groups: Iterator[Any] | None = None

        def take_one(*batch: Any) -> Logs:
            note()
            with tf.name_scope("prepare"):
                prepared = data.prepare(*batch)
            return logs_after(model, step(model, *prepared))

        one_step = tf.function(take_one, autograph=False)

        def take(count: tf.Tensor, parts: tuple[Any, ...]) -> Logs:
            # Batches of all sizes share a trace, as in Keras, where some metrics depend on it.
            of_any_size = tf.nest.map_structure(
                lambda part: tf.TensorSpec([None, *part.shape[2:]], part.dtype), parts
            )
            traced = one_step.get_concrete_function(*of_any_size)

            def step_on(number: tf.Tensor) -> Logs:
                return traced(*tf.nest.map_structure(lambda part: part[number], parts))

            return repeat(step_on, count)

        take = tf.function(take, jit_compile=True, autograph=False)

        def run(groups: Any, rehearsal: tf.Tensor) -> Logs:
            logs: Logs | None = None
            for count, parts in data.load(next(groups), self._steps):
                of_these = take(tf.where(rehearsal, 0, count), parts)
                logs = of_these if logs is None else _either(count > 0, of_these, logs)
            assert logs is not None
            return logs

        self._run = tf.function(run, autograph=False, reduce_retracing=True)
        groups = iter(data.groups(self._steps))
        begin = time.perf_counter()
        self._run.get_concrete_function(groups, tf.constant(True))
        traced = time.perf_counter()
        self._run(groups, tf.constant(True))  # a rehearsal of 0 steps, which makes XLA compile
        self.seconds_to_trace = traced - begin
        self.seconds_to_compile = time.perf_counter() - traced

    def __call__(self, execution: Execution) -> Logs:
        """Train on the batches of an execution. Return the logs of the last step."""
        if self._groups is None:
            first = execution.epoch * self._data.steps_per_epoch + execution.first_step
            self._groups = iter(self._data.groups(self._steps, first))
        return self._run(self._groups, tf.constant(False))


def _either(condition: tf.Tensor, one: Logs, other: Logs) -> Logs:
    """Return `one` if the condition is true. The shapes of logs may depend on the size of the batch."""
    return tf.cond(condition, lambda: one, lambda: other)


def make_program(training: Training, step: TrainStep, note: Note) -> Program | None:
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
        return Program(model, step, data, note)  # type: ignore[arg-type]
    except tf.errors.ResourceExhaustedError:
        raise
    except tf.errors.OpError as error:
        print(
            "note: XLA cannot compile the train step. It runs without XLA."
            f" Reason: {reason(error.message)}",
            file=sys.stderr,
        )
        model.jit_compile = False
        return None


def reason(message: str) -> str:
    """Return the line of an error message of TensorFlow that says why, without the names of nodes."""
    about_where = r"\s*$|Graph execution error|Detected at node|<stack traces|Stack trace|File "
    lines = [line.strip() for line in message.splitlines() if not re.match(about_where, line.strip())]
    line = next((line for line in lines if line.startswith("Detected unsupported")), lines[0])
    return re.sub(r"( compatible with node)? ?\{\{(function_)?node [^}]*\}\}", "", line)
