"""What one loop does, recorded in the process of its row; and whether its steps are Keras' own."""

import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kerasmlp import loops
from kerasmlp.callbacks import BatchLosses
from kerasmlp.comparison.checker import Checker
from kerasmlp.comparison.process import Talk
from kerasmlp.comparison.reference import Reference, restore, state
from kerasmlp.comparison.rounding import Rounding
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.running import running
from kerasmlp.comparison.start import Arrays, Start
from kerasmlp.comparison.verdict import State, Trajectory
from kerasmlp.comparison.with_hooks import StepChecker
from kerasmlp.comparison.without_hooks import CallChecker
from kerasmlp.data import Batches, in_order
from kerasmlp.loops import History, Logs

PREDICTIONS = 1000
"""Test examples that are predicted at the end."""
SECONDS_BETWEEN_MESSAGES = 0.2


def check_row(talk: Talk, start: Start, row: Row, first: Row, epochs: int) -> Trajectory:
    """Train with the loop of a row, and check its steps. The reference is compiled as row `first` is.

    Sends the initial state of this row, receives the one to start from, then sends the steps done.
    """
    with running(row, start, epochs) as loop:
        reference, model = first.compile(start.new_model()), row.compile(start.new_model())
        train = Batches(*start.train, start.batch_size, start.seed)
        loops.build(model, train)
        talk.send(state(model))
        initial = talk.receive()
        callbacks = [_SendProgress(talk)]
        return check_loop(loop, model, reference, train, start.test, epochs, initial, callbacks)


class _SendProgress(keras.callbacks.Callback):
    """Sends the number of steps done, a few times a second."""

    def __init__(self, talk: Talk) -> None:
        super().__init__()
        self._talk = talk
        self._sent = 0.0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if time.monotonic() - self._sent > SECONDS_BETWEEN_MESSAGES:
            self._sent = time.monotonic()
            self._talk.send(int(self.model.optimizer.iterations))


def check_loop(
    loop: loops.Loop,
    model: keras.Model,
    reference: keras.Model,
    train: Batches,
    test: Arrays,
    epochs: int,
    initial: State | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Trajectory:
    """Train `model` with a loop, and compare its steps with those of a reference.

    Args:
        reference: the same model, which may be compiled in another way.
        test: examples and labels for the predictions at the end.
        initial: the state to start from. None for that of `model`.
    """
    for each in (model, reference):
        loops.build(each, train)
    initial = state(model) if initial is None else initial
    for each in (model, reference):
        restore(each, initial)
    losses, rounding = _Losses(), Rounding(Reference(reference), train.batch_size)
    steps = StepChecker(rounding, train, initial)
    history = _history(loop(model, train, None, epochs, [losses, steps, *callbacks]))
    steps.check_end(model, epochs)
    final, weights, predictions = state(model), len(model.variables), _predictions(model, test)
    checker: Checker = steps
    if not steps.steps and steps.divergence is None:  # the loop called no batch hooks
        checker = CallChecker(rounding, train)
        checker.check(loop, model, initial, epochs)
    return Trajectory(
        losses=losses.all,
        history=history,
        weights=final[:weights],
        optimizer=final[weights:],
        predictions=predictions,
        divergence=checker.divergence,
        steps=checker.steps,
        measured=checker.measured,
        share=checker.share,
        unit_roundoff=rounding.unit_roundoff,
        longest_sum=rounding.longest_sum,
        jit_compile=bool(model.jit_compile),
        steps_per_execution=model.steps_per_execution,
    )


class _Losses(BatchLosses):
    """Collects the loss of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        super().on_train_batch_end(batch, logs)
        self.all += [step.loss for step in self.latest]


def _history(returned: Any) -> History:
    """Return the metrics of each epoch, if that is what a loop returned."""
    history = getattr(returned, "history", returned)
    if not isinstance(history, dict):
        raise TypeError(
            "expected the loop to return the metrics of each epoch, a dict of lists or Keras' History;"
            f" received {type(history).__name__}"
        )
    return {name: [float(value) for value in values] for name, values in history.items()}


def _predictions(model: keras.Model, test: Arrays) -> NDArray[Any]:
    images, labels = (array[:PREDICTIONS] for array in test)
    return np.concatenate([np.array(model(x, training=False)) for x, _ in in_order(images, labels)])
