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
from kerasmlp.comparison.own_optimizers import OwnOptimizers
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
    inputs = train.epoch(0).element_spec[0]
    losses, rounding = _Losses(), Rounding(Reference(reference), train.batch_size, inputs)
    steps = StepChecker(rounding, train, initial)
    heard = [losses, steps, *callbacks]
    _begin(heard, model, train, epochs)
    with OwnOptimizers(model) as own_optimizers:
        history = _history(loop(model, train, None, epochs, heard))
        losses.on_train_end()
        steps.check_end(model, epochs)
        final, weights, predictions = state(model), len(model.variables), _predictions(model, test)
        checker: Checker = steps
        if not steps.steps and steps.divergence is None:  # the loop called no batch hooks
            checker = CallChecker(rounding, train, initial)
            checker.check(loop, model, epochs, own_optimizers)
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
        has_own_optimizer=checker.has_own_optimizer,
        reports_metrics=checker.reports_metrics and bool(history),
        unit_roundoff=rounding.unit_roundoff,
        longest_sum=rounding.longest_sum,
        jit_compile=bool(model.jit_compile),
        steps_per_execution=model.steps_per_execution,
    )


def _begin(
    callbacks: Sequence[keras.callbacks.Callback], model: keras.Model, train: Batches, epochs: int
) -> None:
    """Call the hooks of the start. A loop need not call them."""
    for callback in callbacks:
        callback.set_params({"steps": train.steps_per_epoch, "epochs": epochs, "verbose": 0})
        callback.set_model(model)
        callback.on_train_begin()


class _Losses(BatchLosses):
    """Collects the loss of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[float] = []

    def set_model(self, model: keras.Model) -> None:
        if self.model is not model:  # it wraps the loss once
            super().set_model(model)

    def set_params(self, params: Logs) -> None:
        known = {name: value for name, value in params.items() if value is not None}
        super().set_params({**(self.params or {}), **known})

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        super().on_train_batch_end(batch, logs)
        self.all += [step.loss for step in self.latest]


def _history(returned: Any) -> History:
    """Return the metrics of each epoch that a loop returned. No metrics if it returned nothing."""
    history = getattr(returned, "history", returned)
    if history is None:
        return {}
    if not isinstance(history, dict):
        raise TypeError(
            "expected the loop to return the metrics of each epoch: a dict of lists, or Keras' History;"
            f" received {type(history).__name__}"
        )
    return {name: [float(value) for value in values] for name, values in history.items()}


def _predictions(model: keras.Model, test: Arrays) -> NDArray[Any]:
    images, labels = (array[:PREDICTIONS] for array in test)
    return np.concatenate([np.array(model(x, training=False)) for x, _ in in_order(images, labels)])
