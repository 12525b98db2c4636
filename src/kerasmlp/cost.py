"""What a loop costs: measured in a process of its own, an epoch at a time, when its turn comes."""

import statistics
import time
from typing import Any

import keras
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.batches import Batches, in_order
from kerasmlp.remote import Talk, peak_megabytes
from kerasmlp.results import Cost
from kerasmlp.rows import Row, Start

EVALUATIONS = 3


def measure(talk: Talk, start: Start, row: Row, repeats: int) -> Cost:
    """Measure a loop: an epoch whenever a message comes, answered when it is over.

    Args:
        talk: receives the turns: for the epoch that warms up, for each repeat, for the evaluation.
        start: what to train, and on what.
        row: the loop.
        repeats: epochs to time.

    Raises:
        ValueError: the loop trains more epochs or fewer than it is asked to.
    """
    with row.running(start, 1 + repeats) as loop:
        return _measure(talk, loop, start, row, repeats)


def _measure(talk: Talk, loop: loops.Loop, start: Start, row: Row, repeats: int) -> Cost:
    model = start.model(row)
    train = Batches(*start.train, start.batch_size, start.seed)
    loops.build(model, train)
    test = in_order(*start.test)
    turns = _Turns(talk, sync=row.strategy != "multiworker")
    talk.send("ready")
    turns.await_one()
    loop(model, train, None, 1 + repeats, [turns])
    by_epoch = bool(turns.seconds)
    if not by_epoch:
        turns.end()
        for _ in range(repeats):
            turns.await_one()
            loop(model, train, None, 1, [])
            turns.end()
    if len(turns.seconds) != 1 + repeats:
        raise ValueError(f"the loop should train {1 + repeats} epochs; it trained {len(turns.seconds)}")
    turns.await_one()
    evaluations = []
    for _ in range(1 + EVALUATIONS):
        begin = time.perf_counter()
        model.evaluate(test, verbose=0)
        evaluations.append(time.perf_counter() - begin)
    return Cost(
        turns.seconds[1:],
        train.steps_per_epoch,
        turns.seconds_to_first_step,
        statistics.median(evaluations[1:]),
        peak_megabytes(),
        by_epoch,
    )


class _Turns(keras.callbacks.Callback):
    """Lets each epoch wait for its turn, and times it.

    Args:
        talk: receives the turns.
        sync: whether to wait for the devices; in a cluster TensorFlow cannot.
    """

    def __init__(self, talk: Talk, sync: bool) -> None:
        super().__init__()
        self._sync = tf.test.experimental.sync_devices if sync else lambda: None
        self._talk = talk
        self._waiting = False
        self.seconds: list[float] = []
        self.seconds_to_first_step: float | None = None

    def await_one(self) -> None:
        """Wait for the turn, and start the clock."""
        self._talk.receive()
        self._waiting = False
        self._begin = time.perf_counter()

    def end(self) -> None:
        """Stop the clock when the device has done all that it was given."""
        self._sync()
        self.seconds.append(time.perf_counter() - self._begin)
        self._talk.send("epoch")
        self._waiting = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._waiting:
            self.await_one()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.seconds_to_first_step is None:
            self._sync()
            self.seconds_to_first_step = time.perf_counter() - self._begin

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.end()
