"""The cost of one loop, measured in the process of its row, one epoch at a time."""

import functools
import statistics
import time
import timeit
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.comparison.process import Talk, peak_megabytes
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.running import running
from kerasmlp.comparison.start import Start
from kerasmlp.comparison.verdict import Cost
from kerasmlp.loops import build

EVALUATIONS = 3
"""How often the evaluation is timed, after one that traces."""


def time_row(talk: Talk, start: Start, row: Row, repeats: int) -> Cost:
    """Time the loop of a row: an epoch that warms up, `repeats` epochs, and the evaluation.

    Each of them starts when a message is received. An epoch is answered at its end.
    """
    with running(row, start, 1 + repeats) as loop:
        model = row.compile(start.new_model())
        train, test = start.batches(), start.test_batches()
        build(model, train)
        timer = _EpochTimer(talk, synchronize=row.strategy != "multiworker")
        talk.send("ready")
        timer.wait_and_start()
        loop(model, train, None, 1 + repeats, [timer])
        by_epoch = bool(timer.seconds)
        if not by_epoch:
            timer.stop()
            for _ in range(repeats):
                timer.wait_and_start()
                loop(model, train, None, 1, [])
                timer.stop()
        if len(timer.seconds) != 1 + repeats:
            trained = len(timer.seconds)
            raise ValueError(f"expected the loop to train {1 + repeats} epochs; it trained {trained}")
        timer.wait_and_start()
        evaluate = functools.partial(model.evaluate, test, verbose=0)
        _, *evaluations = timeit.repeat(evaluate, number=1, repeat=1 + EVALUATIONS)
        return Cost(
            timer.seconds[1:],
            train.steps_per_epoch,
            timer.seconds_to_first_step,
            statistics.median(evaluations),
            peak_megabytes(),
            by_epoch,
        )


class _EpochTimer(keras.callbacks.Callback):
    """Times each epoch. An epoch waits for a message before it starts.

    With `synchronize`, it waits for the devices before the clock is read. With several workers,
    TensorFlow cannot.
    """

    def __init__(self, talk: Talk, synchronize: bool) -> None:
        super().__init__()
        self._synchronize = tf.test.experimental.sync_devices if synchronize else lambda: None
        self._talk = talk
        self._waiting = False
        self.seconds: list[float] = []
        self.seconds_to_first_step: float | None = None

    def wait_and_start(self) -> None:
        self._talk.receive()
        self._waiting = False
        self._begin = time.perf_counter()

    def stop(self) -> None:
        """Stop the clock when the device has done its work, and answer."""
        self._synchronize()
        self.seconds.append(time.perf_counter() - self._begin)
        self._talk.send("epoch")
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
