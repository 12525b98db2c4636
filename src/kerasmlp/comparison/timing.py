"""The cost of one loop, measured in the process of its row, one epoch at a time."""

import functools
import statistics
import time
import timeit
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.comparison.row import Row
from kerasmlp.comparison.running import running
from kerasmlp.comparison.start import Start
from kerasmlp.comparison.verdict import Cost
from kerasmlp.loops import build
from kerasmlp.processes import Talk, peak_megabytes

EVALUATIONS = 3
"""How often the evaluation is timed, after one that traces."""


def time_row(talk: Talk, start: Start, row: Row, repeats: int) -> None:
    """Time the loop of a row: the evaluation, an epoch that warms up, and `repeats` epochs.

    Each of them starts when a message is received, and is answered at its end: a timed epoch by the
    cost as known so far, so that the other side can end this process when it knows enough.
    """
    with running(row, start, 1 + repeats) as loop:
        model = row.compile(start.new_model())
        train, test = start.batches(), start.test_batches()
        build(model, train)
        talk.send("ready")
        talk.receive()
        evaluate = functools.partial(model.evaluate, test, verbose=0)
        _, *evaluations = timeit.repeat(evaluate, number=1, repeat=1 + EVALUATIONS)
        talk.send("evaluated")
        timer = _EpochTimer(talk, train.steps_per_epoch, statistics.median(evaluations))
        timer.synchronizes = row.strategy != "multiworker"  # with several workers TensorFlow cannot
        timer.wait_and_start()
        loop(model, train, None, 1 + repeats, [timer])
        if not timer.seconds:
            timer.by_epoch = False
            timer.stop()
            for _ in range(repeats):
                timer.wait_and_start()
                loop(model, train, None, 1, [])
                timer.stop()
        trained = len(timer.seconds)
        if trained != 1 + repeats:
            raise ValueError(f"expected the loop to train {1 + repeats} epochs; it trained {trained}")


class _EpochTimer(keras.callbacks.Callback):
    """Times each epoch. An epoch waits for a message before it starts."""

    synchronizes = True
    """Whether to wait for the devices before the clock is read."""
    by_epoch = True

    def __init__(self, talk: Talk, steps_per_epoch: int, seconds_to_evaluate: float) -> None:
        super().__init__()
        self._talk = talk
        self._steps_per_epoch = steps_per_epoch
        self._seconds_to_evaluate = seconds_to_evaluate
        self._waiting = False
        self.seconds: list[float] = []
        self.seconds_to_first_step: float | None = None

    def _synchronize(self) -> None:
        if self.synchronizes:
            tf.test.experimental.sync_devices()

    def wait_and_start(self) -> None:
        self._talk.receive()
        self._waiting = False
        self._begin = time.perf_counter()

    def stop(self) -> None:
        """Stop the clock when the device has done its work, and answer."""
        self._synchronize()
        self.seconds.append(time.perf_counter() - self._begin)
        self._talk.send(
            Cost(
                self.seconds[1:],
                self._steps_per_epoch,
                self.seconds_to_first_step,
                self._seconds_to_evaluate,
                peak_megabytes(),
                self.by_epoch,
            )
        )
        self._waiting = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._waiting:
            self.wait_and_start()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.seconds_to_first_step is None:
            self._synchronize()
            self.seconds_to_first_step = time.perf_counter() - self._begin

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.stop()
