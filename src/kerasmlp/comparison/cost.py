"""What a loop costs: measured in a process of its own, an epoch at a time, when its turn comes."""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kerasmlp.comparison.process import Process, RemoteError
from kerasmlp.comparison.progress import RowProgress
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.start import Start
from kerasmlp.comparison.verdict import Cost, Outcome

if TYPE_CHECKING:
    import keras

    from kerasmlp.loops import Loop
import statistics
import time

import keras
import tensorflow as tf

from kerasmlp.comparison.process import Talk, peak_megabytes
from kerasmlp.data import Batches, in_order
from kerasmlp.loops import Loop, build


def costs(
    start: Start,
    rows: Sequence[Row],
    outcomes: Sequence[Outcome],
    repeats: int,
    time_limit: float,
    progress: "RowProgress",
) -> list[Outcome]:
    """Time the loops in turn, an epoch each, so that what else the machine does meets all of them."""
    progress.phase("cost", 1 + repeats)
    found: dict[str, Cost | str] = {}
    with contextlib.ExitStack() as stack:
        running = {
            row.name: stack.enter_context(
                Process("kerasmlp.comparison.cost:measure", start, row, repeats)
            )
            for row, outcome in zip(rows, outcomes, strict=True)
            if outcome.verdict != "failed"
        }
        for turn in range(
            -1, repeats + 2
        ):  # ready, the epoch that warms up, the timed ones, the evaluation
            for name, process in list(running.items()):
                try:
                    if turn >= 0:
                        process.send("your turn")
                    message = process.receive(time_limit)
                except RemoteError as error:
                    message = str(error)
                    found[name] = message
                if turn > repeats and message == "epoch":
                    found[name] = f"the loop trains more than the {1 + repeats} epochs it is asked for"
                elif isinstance(message, Cost):
                    found[name] = message
                    progress.finished(name, f"{message.median:.3g} s an epoch")
                if name in found:
                    running.pop(name).kill()
                progress.done(name, turn + 1)
    return [
        dataclasses.replace(
            outcome,
            cost=cost if isinstance(cost := found.get(outcome.name), Cost) else None,
            cost_failure=cost if isinstance(cost, str) else None,
        )
        for outcome in outcomes
    ]


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


def _measure(talk: Talk, loop: Loop, start: Start, row: Row, repeats: int) -> Cost:
    model = start.model(row)
    train = Batches(*start.train, start.batch_size, start.seed)
    build(model, train)
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
