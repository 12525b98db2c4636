"""Whether a loop does what Keras' `fit` does: trained beside a reference, from equal weights."""

import time
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kerasmlp import loops
from kerasmlp.callbacks import BatchLosses
from kerasmlp.comparison import reference as lockstep
from kerasmlp.comparison.process import Talk
from kerasmlp.comparison.reference import Reference
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.start import Start
from kerasmlp.comparison.verdict import State, Trajectory
from kerasmlp.comparison.with_hooks import Follower
from kerasmlp.comparison.without_hooks import ShortCalls
from kerasmlp.data import Batches, in_order
from kerasmlp.loops import Logs

PREDICTIONS = 1000


def follow(talk: Talk, start: Start, row: Row, first: Row, epochs: int) -> Trajectory:
    """Follow the loop of `row`, in a process of its own.

    Args:
        talk: is sent the initial state, answers with the one to start from; then is sent the steps done.
        start: what to train, and on what.
        row: the loop.
        first: the row whose compilation the reference has.
        epochs: to train for.
    """
    with row.running(start, epochs) as loop:
        reference, model = start.model(first), start.model(row)
        train = Batches(*start.train, start.batch_size, start.seed)
        loops.build(model, train)
        talk.send(lockstep.state(model))
        initial = talk.receive()
        return run(loop, model, reference, train, start.test, epochs, initial, [_Progress(talk)])


class _Progress(keras.callbacks.Callback):
    """Sends the number of steps done, a few times a second."""

    def __init__(self, talk: Talk) -> None:
        super().__init__()
        self._talk = talk
        self._sent = 0.0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if time.monotonic() - self._sent > 0.2:
            self._sent = time.monotonic()
            self._talk.send(int(self.model.optimizer.iterations))


def run(
    loop: loops.Loop,
    model: keras.Model,
    reference: keras.Model,
    train: Batches,
    test: tuple[NDArray[Any], NDArray[Any]],
    epochs: int,
    initial: State | None,
    callbacks: list[keras.callbacks.Callback],
) -> Trajectory:
    """Train `model` with `loop` beside `reference`, from equal weights over equal batches.

    Args:
        loop: to be followed.
        model: compiled, for the loop.
        reference: another of the same factory, compiled as the first row is.
        train: the batches.
        test: images and labels for the predictions at the end.
        epochs: to train for.
        initial: the state to start from; None for that of `model`.
        callbacks: that the loop drives beside those of the comparison.

    Raises:
        TypeError: the loop does not return the metrics of each epoch.
    """
    for one in (model, reference):
        loops.build(one, train)
    initial = initial if initial is not None else lockstep.state(model)
    for one in (model, reference):
        lockstep.restore(one, initial)
    losses = _Losses()
    follower = Follower(Reference(reference, train.batch_size), train, initial)
    history = loop(model, train, None, epochs, [losses.source, losses, follower, *callbacks])
    history = getattr(history, "history", history)
    if not isinstance(history, dict):
        raise TypeError(
            "the loop should return the metrics of each epoch, a dict of lists or keras' History;"
            f" it returned {type(history).__name__}"
        )
    follower.finish(model, epochs)
    weights = len(model.variables)
    final = lockstep.state(model)
    predictions = _predictions(model, test)
    found: Follower | ShortCalls = follower
    if not follower.steps and follower.divergence is None:
        found = ShortCalls(follower.reference, train)
        found.hold(loop, model, initial, epochs)
    return Trajectory(
        losses.all,
        {name: [float(value) for value in values] for name, values in history.items()},
        final[:weights],
        final[weights:],
        predictions,
        found.divergence,
        found.steps,
        found.measured,
        found.share,
        follower.reference.unit_roundoff,
        follower.reference.longest_sum,
        bool(model.jit_compile),
        model.steps_per_execution,
    )


class _Losses(keras.callbacks.Callback):
    """Keeps the loss of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.source = BatchLosses()
        self.all: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.all += [step.loss for step in self.source.latest]


def _predictions(model: keras.Model, test: tuple[NDArray[Any], NDArray[Any]]) -> NDArray[Any]:
    images, labels = (array[:PREDICTIONS] for array in test)
    return np.concatenate([np.array(model(x, training=False)) for x, _ in in_order(images, labels)])
