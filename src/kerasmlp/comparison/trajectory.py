"""What one loop does, recorded in the process of its row; and whether its steps are Keras' own."""

import contextlib
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasmlp import loops
from kerasmlp.callbacks import BatchLosses
from kerasmlp.comparison.checker import Checker
from kerasmlp.comparison.epoch_metrics import EpochMetrics, compare_history
from kerasmlp.comparison.follower import EndlessLoopError, Follower
from kerasmlp.comparison.reference import Reference, restore, state
from kerasmlp.comparison.rounding import Rounding
from kerasmlp.comparison.row import BUILT_IN, Row
from kerasmlp.comparison.running import running
from kerasmlp.comparison.short_calls import ShortCalls
from kerasmlp.comparison.start import Start
from kerasmlp.comparison.verdict import Divergence, State, Trajectory, same
from kerasmlp.comparison.watching import OwnOptimizers, drawing
from kerasmlp.data import unpacked
from kerasmlp.loops import History, Logs
from kerasmlp.processes import Talk

PREDICTIONS = 1000
"""Test examples that are predicted at the end."""
SECONDS_BETWEEN_MESSAGES = 0.2


def check_row(talk: Talk, start: Start, row: Row, first: Row, epochs: int) -> Trajectory:
    """Train with the loop of a row, and check its steps. The reference is compiled as row `first` is.

    Sends the initial state of this row, receives the one to start from, then sends the steps done.
    """
    with running(row, start, epochs) as loop:
        model, reference = row.compile(start.new_model()), first.compile(start.new_model())
        loops.build(model, start.batches())
        talk.send(state(model))
        initial = talk.receive()
        # Those of the built-in loops matter to callbacks only.
        validates = row.loop not in BUILT_IN or (bool(start.callbacks) and row.strategy == "none")
        return check_loop(
            loop, model, reference, start, epochs, initial, [_SendProgress(talk)], validates=validates
        )


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
    start: Start,
    epochs: int,
    initial: State | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    *,
    validates: bool = True,
) -> Trajectory:
    """Train `model` with a loop, and compare its steps with those of a reference.

    Args:
        reference: the same model, which may be compiled in another way.
        start: what the loop trains on.
        initial: the state to start from. None for that of `model`.
        callbacks: they hear the loop too.
        validates: whether the loop gets the validation data.
    """
    train, validation = start.batches(), start.validation_batches() if validates else None
    for each in (model, reference):
        loops.build(each, train)
    initial = state(model) if initial is None else initial
    for each in (model, reference):
        restore(each, initial)
    per_epoch = train.steps_per_epoch
    driven = Reference(reference, start.new_callbacks, validation, epochs=epochs, steps=per_epoch)
    rounding = Rounding(driven, train, lambda: [each.on_train_batch_end(0) for each in callbacks])
    losses, returned = _Losses(), None
    steps = epochs * per_epoch
    with OwnOptimizers(model) as own_optimizers:
        follower = Follower(
            rounding,
            train,
            initial,
            model,
            own_optimizers,
            lambda: [callback.on_train_batch_end(0) for callback in (losses, *callbacks)],
            most_draws=3 * steps + 100,
        )
        heard = [losses, follower, *callbacks]
        _begin(heard, model, per_epoch, epochs)
        seen = drawing(follower.before_draw, follower.after_draw, but_of=validation)
        with seen, contextlib.suppress(EndlessLoopError):
            returned = loop(model, train, validation, epochs, [*heard, *start.new_callbacks()])
        history = _history(returned)
        losses.on_train_end()
        follower.check_end(epochs)
        final, predictions = state(model), _predictions(model, start)
        checker: Checker = follower
        end_is_seen = False
        nothing = _divergence_of_nothing(model, initial, final, own_optimizers)
        if follower.is_hidden and nothing is None:
            checker = calls = ShortCalls(rounding, train, initial, loop, model, own_optimizers)
            calls.check(epochs, start.new_callbacks, final)
            end_is_seen = calls.end_is_seen
    checker.divergence = (
        checker.divergence or nothing or compare_history(history, checker.metrics, per_epoch)
    )
    weights = len(model.variables)
    return Trajectory(
        losses=losses.all,
        history=history,
        weights=final[:weights],
        optimizer=final[weights:],
        predictions=predictions,
        divergence=checker.divergence,
        undecided=checker.undecided,
        steps=checker.steps,
        steps_in_all=steps,
        end_is_seen=end_is_seen,
        measured=checker.measured,
        share=checker.share,
        has_own_optimizer=checker.has_own_optimizer,
        reports_metrics=_reports_metrics(history, checker.metrics),
        unit_roundoff=rounding.unit_roundoff,
        longest_sum=rounding.longest_sum,
        jit_compile=bool(model.jit_compile),
        steps_per_execution=model.steps_per_execution,
    )


def _begin(
    callbacks: Sequence[keras.callbacks.Callback], model: keras.Model, steps: int, epochs: int
) -> None:
    """Call the hooks of the start. A loop need not call them."""
    for callback in callbacks:
        callback.set_params({"steps": steps, "epochs": epochs, "verbose": 0})
        callback.set_model(model)
        callback.on_train_begin()


def _divergence_of_nothing(
    model: keras.Model, initial: State, final: State, own_optimizers: OwnOptimizers
) -> Divergence | None:
    """Return how a loop that left the weights as they were differs from one that trains them."""
    trained = {variable.path for variable in model.trainable_variables}
    for variable, old, new in zip(model.variables, initial, final, strict=False):
        if variable.path in trained and not same([old], [new]):
            return None
    if others := own_optimizers.other_weights:
        which = ", ".join(list(dict.fromkeys(others))[:3])
        what = f"the loop trains another model, not the one that it is given: {which}"
        return Divergence(1, what, cause="the loop trains another model")
    return Divergence(1, "the loop changes no weight of the model", cause="the loop trains nothing")


def _reports_metrics(history: History, epochs: Sequence[EpochMetrics]) -> bool:
    """Return whether the loop returned metrics of the model, and updated them."""
    first = {name: received[0] for name, received in history.items() if received}
    return bool(epochs) and epochs[0].are_updated(first)


class _Losses(BatchLosses):
    """Collects the loss of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[float] = []
        self._are_known = True  # only the last losses are kept

    def set_model(self, model: keras.Model) -> None:
        if self.model is not model:  # it wraps the loss once
            super().set_model(model)

    def set_params(self, params: Logs) -> None:
        known = {name: value for name, value in params.items() if value is not None}
        super().set_params({**(self.params or {}), **known})

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        losses = self._new()  # whatever the numbers of its batches are
        if len(losses) > self.model.steps_per_execution:
            self._are_known = False
            self.all.clear()
        elif self._are_known:
            self.all += losses


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
    return {
        name: [float(value) for value in received]
        for name, received in history.items()
        if np.ndim(received) == 1 and np.asarray(received).dtype.kind in "fiub"
    }


def _predictions(model: keras.Model, start: Start) -> list[Any]:
    """Return the outputs for the first test examples; none if the model cannot be called."""
    found: list[list[Any]] = []
    for batch in start.test_batches(PREDICTIONS):
        try:
            outputs = model(unpacked(batch)[0], training=False)
        except Exception:  # a model with a train step of its own need not have outputs
            return []
        found.append([np.array(output) for output in keras.tree.flatten(outputs)])
    return [np.concatenate(arrays) for arrays in zip(*found, strict=True)]
