"""A contender in a process of its own, which trains an epoch whenever it is told to."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import CONTENDERS
from kerasmlp.processes import Talk, peak_megabytes

TIME_LIMIT = 600.0
"""Seconds for an epoch."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """What to train on, and how wide.

    Attributes:
        data: as `kerasmlp.train` takes it; None for random images.
        examples: how many of the training images, or how many random ones; None for all.
        hidden: units of the hidden layer.
        mapped: a file of random images, to be mapped instead of read.
        seed: of the weights and of the order of the images.
    """

    data: str | None = None
    examples: int | None = None
    hidden: int = 100
    mapped: Path | None = None
    seed: int = 0


class Data:
    """The arrays of a problem, as `contenders.Data` says."""

    def __init__(self, problem: Problem) -> None:
        self.hidden, self.seed = problem.hidden, problem.seed
        if problem.data is not None:
            from kerasmlp.data import MNISTLoader

            loader = MNISTLoader(problem.data)
            self.images = loader.train_data[: problem.examples]
            self.labels = loader.train_label[: problem.examples]
            self.test_images, self.test_labels = loader.test_data, loader.test_label
            return
        examples = problem.examples or 60_000
        random = np.random.default_rng(0)
        if problem.mapped is not None:
            shape = (examples, 28, 28, 1)
            self.images = np.memmap(problem.mapped, np.uint8, "r", shape=shape)
        else:
            self.images = random.integers(0, 256, (examples, 28, 28, 1), np.uint8)
        self.labels = random.integers(0, 10, examples).astype(np.int32)
        self.test_images, self.test_labels = np.array(self.images[:1000]), self.labels[:1000]


class Turns:
    """When to train an epoch, as `contenders.Turns` says: after each message from the other side.

    It is answered with the seconds of the epoch; then, if the message asks for it, the test accuracy.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def begin(self) -> None:
        self._with_accuracy = self._talk.receive()
        self._begin = time.perf_counter()

    def end(self, accuracy: Callable[[], float]) -> None:
        seconds = time.perf_counter() - self._begin
        reached = accuracy() if self._with_accuracy else None
        self._talk.send((seconds, reached, peak_megabytes()))

    def each(self, accuracy: Callable[[], float]) -> Iterator[None]:
        while True:
            self.begin()
            yield
            self.end(accuracy)


def serve(talk: Talk, name: str, problem: Problem) -> Any:
    """Train the contender `name` on `problem`, at each message an epoch."""
    return CONTENDERS[name](Data(problem), Turns(talk))
