"""What Keras calls `model.train_function` while a loop trains: at each call it takes an execution."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.keras_internals import take_initial_epoch
from kerasmlp.loops.callback_list import CallbackList, Execution
from kerasmlp.loops.interface import Training, build_optimizer
from kerasmlp.loops.program import make_program
from kerasmlp.loops.step import Logs, Note, TrainStep

Steps = Callable[[Any, int, bool], Logs]
"""Takes that many steps on the next batches of an iterator. Returns the logs of the last one. The last
argument is whether the iterator has more batches."""
KERAS_STEP = "model.train_step"
"""What Keras' own step is called in its graph."""


class TrainFunction:
    """Takes the execution that is next. It is made at its first call, so it hears the hooks before.

    Attributes:
        seconds_to_trace, seconds_to_compile: the time that its program took, None without one.
        step_graph: the graph of a train step; None as long as none has been traced.
    """

    step_graph: Any = None
    seconds_to_trace: float | None = None
    seconds_to_compile: float | None = None

    def __init__(
        self,
        training: Training,
        callbacks: CallbackList,
        make_steps: Callable[[Note], Steps],
        step: TrainStep | None,
    ) -> None:
        self._training, self._callbacks = training, callbacks
        self._make_steps, self._step = make_steps, step
        self._take: Callable[[Execution], Logs] | None = None

    def __call__(self, iterator: Any = None) -> Logs:
        """Take the execution. What Keras iterates over is not read."""
        execution = self._callbacks.execution
        if execution is None:
            return {}
        if self._take is None:
            self._take = self._make()
        return self._take(execution)

    def _make(self) -> Callable[[Execution], Logs]:
        build_optimizer(self._training.model)
        program = make_program(self._training, self._step, self._note) if self._step else None
        if program is None:
            return _Reader(self._training, self._make_steps(self._note))
        self.seconds_to_trace = program.seconds_to_trace
        self.seconds_to_compile = program.seconds_to_compile
        return program

    def _note(self) -> None:
        if not tf.executing_eagerly():
            self.step_graph = tf.compat.v1.get_default_graph()


class _Reader:
    """Takes executions on batches that are read one by one."""

    def __init__(self, training: Training, run: Steps) -> None:
        self._train, self._model, self._run = training.train, training.model, run
        self._next: tuple[int, int] | None = None

    def __call__(self, execution: Execution) -> Logs:
        epoch, first, steps = execution
        if self._next != (epoch, first):
            onward = self._train.onward(epoch, first)
            batches = self._train.epoch(epoch, first) if onward is None else onward
            self._goes_on = onward is not None
            # Keras' `fit` does the same, for models that were made under a strategy.
            strategy = self._model.distribute_strategy
            self._batches = iter(strategy.experimental_distribute_dataset(batches))
        ends_epoch = first + steps == self._train.steps_per_epoch
        self._next = (epoch + 1, 0) if ends_epoch and self._goes_on else (epoch, first + steps)
        logs = self._run(self._batches, steps, self._goes_on or not ends_epoch)
        if ends_epoch and not self._goes_on:
            next(self._batches, None)  # a dataset that is read to its end keeps what it caches
        return logs


@contextmanager
def train_functions(
    training: Training,
    callbacks: CallbackList,
    make_steps: Callable[[Note], Steps],
    step: TrainStep | None,
) -> Iterator[None]:
    """Let Keras' `fit`, and callbacks, get a `TrainFunction` where they ask for a train function.

    The function is a program of `step`, if there can be one; otherwise what `make_steps` returns. It is
    made anew when a callback compiles the model or calls `make_train_function(force=True)`. The number
    of steps of an execution stays as it was when the training began.

    Keras has no public way to do so: it would replace the function by its own. What it is worth: an
    epoch of MNIST takes Keras' `fit` more than 5 times as long (`python -m benchmarks --parts epochs`).
    """
    model, steps = training.model, training.model.steps_per_execution

    def make_train_function(force: bool = False) -> None:
        if force or model.train_function is None:
            model.steps_per_execution = steps
            model.train_function = TrainFunction(training, callbacks, make_steps, step)

    model.make_train_function = make_train_function
    model.train_function = None
    take_initial_epoch(model)
    try:
        yield
    finally:
        take_initial_epoch(model)
        del model.make_train_function
        model.train_function = None


def keras_steps(model: keras.Model, note: Note) -> Steps:
    """Return the steps of Keras' own train function.

    It takes a whole execution, or all batches that are left. Fewer are taken one by one.
    """
    train_step = model.train_step

    def noted_step(data: Any) -> Logs:
        note()
        with tf.name_scope(KERAS_STEP):
            return train_step(data)

    def made() -> Callable[[Any], Logs]:
        kept = model.train_function
        with _with_train_step(model, noted_step):
            type(model).make_train_function(model, force=True)
        function, model.train_function = model.train_function, kept
        return function

    size = model.steps_per_execution
    whole, single = made(), functools.cache(made)

    def run(batches: Any, steps: int, has_more: bool) -> Logs:
        if steps == size or not has_more:
            return whole(batches)
        model.steps_per_execution = 1  # Keras reads it when it traces, at the first call
        try:
            for _ in range(steps):
                logs = single()(batches)
        finally:
            model.steps_per_execution = size
        return logs

    return run


@contextmanager
def _with_train_step(model: keras.Model, train_step: Callable[[Any], Logs]) -> Iterator[None]:
    """A context in which `train_step` takes the place of the model's."""
    before = vars(model).get("train_step")
    model.train_step = train_step
    try:
        yield
    finally:
        del model.train_step
        if before is not None:
            model.train_step = before
