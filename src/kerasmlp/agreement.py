"""Whether a loop does what Keras' `fit` does: followed step by step, beside a reference."""

import dataclasses
import functools
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasmlp import causes, lockstep, loops
from kerasmlp.batches import Batches, in_order
from kerasmlp.callbacks import BatchLosses
from kerasmlp.epoch_metrics import EpochMetrics
from kerasmlp.hooks import Logs
from kerasmlp.lockstep import Batch, Deviation, Reference
from kerasmlp.remote import Talk
from kerasmlp.results import Divergence, State, Trajectory, same
from kerasmlp.rows import Row, Start

ALL_STEPS_UNTIL = 100
EACH = 20
"""Where a loop rounds otherwise, the bound is measured at each of the first 100 steps, then at every
twentieth execution and at the ends of epochs; what is equal bit for bit needs no bound."""
PREDICTIONS = 1000


class Follower(keras.callbacks.Callback):
    """Takes every step of a loop a second time, by the reference, from where the loop stood.

    Args:
        reference: takes Keras' own steps.
        train: the batches that the loop should train on.
        start: the state that the loop should start from.
    """

    def __init__(self, reference: Reference, train: Batches, start: State) -> None:
        super().__init__()
        self.divergence: Divergence | None = None
        self.steps = 0
        self.measured = 0
        self.share = 0.0
        self._executions = 0
        self.reference = reference
        self._train = train
        self._after = start
        self._next = 0
        self._sums: list[list[NDArray[Any]]] = []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch
        self._batches = iter(self._train.epoch(epoch))
        self._next = epoch * self._train.steps_per_epoch
        self.reference.model.reset_metrics()
        self._metrics = EpochMetrics(self.reference.model)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._first = batch
        self._before = lockstep.state(self.model)
        if self.divergence is None and not same(self._before, self._after):
            self._compare_between(self._next)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._after = lockstep.state(self.model)
        if self.divergence is not None:
            return
        last = min(batch, self._train.steps_per_epoch - 1)
        batches = [next(self._batches) for _ in range(self._first, last + 1)]
        self._next = self._epoch * self._train.steps_per_epoch + last + 1
        expected, _ = self.reference.step(self._before, batches)
        self._metrics.add(self.reference.model, sum(len(y) for _, y in batches))
        self.steps += len(batches)
        self._executions += 1
        if same(expected, self._after) or not self._measured(last):
            return
        metrics = self._metrics.values(self.reference.model)
        found = self.reference.deviation(self._before, batches, expected, self._after)
        self.measured += 1
        if found is not None:
            self.share = max(self.share, found.share)
            if found.share > 1:
                self._diagnose(batches, found)
        self._metrics.set(self.reference.model, metrics)

    def _measured(self, last: int) -> bool:
        """Whether a step that rounds otherwise is measured."""
        at_end = last + 1 == self._train.steps_per_epoch
        return at_end or self._next <= ALL_STEPS_UNTIL or self._executions % EACH == 0

    def _diagnose(self, batches: list[Batch], found: Deviation) -> None:
        first = self._next - len(batches)
        cause = causes.find(
            self.reference, self._before, batches, self._after, self._other_batches(first)
        )
        self.divergence = Divergence(
            first + 1, found.variable, found.size, found.bound, str(cause) if cause else None
        )

    def _other_batches(self, step: int) -> Iterator[tuple[str, Batch]]:
        """Yield each other batch of the epochs so far, and of the next, by what its use would mean."""
        per_epoch = self._train.steps_per_epoch
        for epoch in range(step // per_epoch + 2):
            for position, batch in enumerate(self._train.epoch(epoch)):
                other = epoch * per_epoch + position
                if other == step + 1 and (step + 1) % per_epoch == 0:
                    yield "the last batch of the epoch, a partial one, is dropped", batch
                elif other != step:
                    yield (
                        (
                            f"another order of the batches: this is the batch of step {other + 1}"
                            f" (batch {position + 1} of epoch {epoch + 1})"
                        ),
                        batch,
                    )

    def _compare_between(self, step: int) -> None:
        """Say what changed the state between two steps, or before the first."""
        pairs = zip(self.reference.paths, self._after, self._before, strict=True)
        changed = [(path, one, other) for path, one, other in pairs if not same([one], [other])]
        path, one, other = changed[0]
        when = "before its first step" if step == 0 else f"after step {step} and before the next"
        cause = f"the loop changes the state outside its steps: {', '.join(p for p, _, _ in changed)}"
        for name, one_of, other_of in changed:
            if name.endswith("learning_rate"):
                cause = f"another learning rate: {float(other_of):g}, not {float(one_of):g}"
        size = float(np.abs(other.astype(float) - one).max()) if one.shape == other.shape else None
        self.divergence = Divergence(step + 1, f"{path}, changed {when}", size, 0.0, cause)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.divergence is not None:
            return
        missing = (epoch + 1) * self._train.steps_per_epoch - self._next
        if missing:
            partial = missing == 1 and len(self._train.images) % self._train.batch_size
            cause = "the last batch of the epoch, a partial one, is dropped" if partial else None
            what = f"{missing} step(s) of epoch {epoch + 1} are missing"
            self.divergence = Divergence(self._next + 1, what, cause=cause)
            return
        self._sums.append(self._metrics.sums())
        self.divergence = self._metrics.compare(self.reference.model, logs or {}, self._next, self._sums)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._end = lockstep.state(self.model)

    def finish(self, model: keras.Model, epochs: int) -> None:
        """Compare the state that the loop ends with: after its last step, and what `fit` does there."""
        if self.divergence is not None or not self.steps:
            return
        steps = epochs * self._train.steps_per_epoch
        if self._next < steps:
            what = f"the loop ended after {self._next} of {steps} steps"
            self.divergence = Divergence(self._next + 1, what)
            return
        final, expected = lockstep.state(model), self._finalised(self._after)
        for path, one, other in zip(self.reference.paths, expected, final, strict=True):
            if not np.allclose(one, other, rtol=1e-6, atol=1e-7):
                unchanged = same(self._after, final)
                cause = (
                    "EMA is not finalised: optimizer.finalize_variable_values is not called at the end"
                    if unchanged
                    else "the loop changes the weights after its last step"
                )
                size = float(np.abs(one.astype(float) - other).max())
                self.divergence = Divergence(steps, f"{path}, at the end of training", size, 1e-7, cause)
                return

    def by_calls(self, loop: loops.Loop, model: keras.Model, initial: State, epochs: int) -> None:
        """Hold a loop that calls no batch hooks to the reference: by what short calls of it do.

        After its run: for single steps of the first epoch, then for two epochs of two steps.
        """
        done, steps = int(model.optimizer.iterations), epochs * self._train.steps_per_epoch
        last = self._train.steps_per_epoch - 1
        start = initial
        for step in sorted({0, 1, 2, last} & set(range(last + 1))):
            start = self._one_call(loop, model, start, (step,), 1)
            if self.divergence is not None:
                return
        self._one_call(loop, model, initial, (0, last) if last else (0,), 2)
        if self.divergence is None and done != steps:
            self.divergence = Divergence(done + 1, f"the loop ended after {done} of {steps} steps")

    def _one_call(
        self, loop: loops.Loop, model: keras.Model, start: State, steps: tuple[int, ...], epochs: int
    ) -> State:
        """Let the loop train from `start` on some steps of each epoch; return where it should end."""
        part, reference = _Part(self._train, steps), self.reference
        batches = [batch for epoch in range(epochs) for batch in part.epoch(epoch)]
        lockstep.restore(model, start)
        loop(model, part, None, epochs, [])
        received = lockstep.state(model)
        expected = self._finalised(reference.step(start, batches)[0])
        self.steps += len(batches)
        if same(expected, received):
            return expected
        self.measured += 1
        found = reference.deviation(start, batches, expected, received)
        if found is None or found.share <= 1:
            self.share = max(self.share, found.share if found is not None else 0.0)
            return expected
        cause = None
        if epochs == 1:
            cause = causes.find(reference, start, batches, received, [])
        else:
            cause = self._cause_between_epochs(start, batches, received)
        self.divergence = Divergence(
            steps[0] + 1, found.variable, found.size, found.bound, str(cause) if cause else None
        )
        return expected

    def _cause_between_epochs(
        self, start: State, batches: list[Batch], received: State
    ) -> causes.Cause | None:
        """Return what is wrong with a loop whose single steps are right."""
        half = len(batches) // 2
        instead = {
            "another order of the batches: those of the first epoch come again": 2 * batches[:half],
            "the last batch of the epoch, a partial one, is dropped": [batches[0], batches[half]],
            "the loop trains one epoch only": batches[:half],
        }
        for name, others in instead.items():
            wrong = self._finalised(self.reference.step(start, others)[0])
            found = self.reference.deviation(start, others, wrong, received)
            if found is None or found.share <= 1:
                return causes.Cause(name, exact=found is None)
        return None

    def _finalised(self, values: State) -> State:
        """Return the state that training ends with where the last step leads to `values`."""
        model = self.reference.model
        lockstep.restore(model, values)
        model.optimizer.finalize_variable_values(model.trainable_variables)
        return lockstep.state(model)


def follow(talk: Talk, start: Start, row: Row, first: Row, epochs: int) -> Trajectory:
    """Follow the loop of `row`, in a process of its own.

    Args:
        talk: is sent the initial state, answers with the one to start from; then is sent the steps done.
        start: what to train, and on what.
        row: the loop.
        first: the row whose compilation the reference has.
        epochs: to train for.
    """
    loop = row.resolve()
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
    if not follower.steps and follower.divergence is None:
        follower.by_calls(loop, model, initial, epochs)
    return Trajectory(
        losses.all,
        {name: [float(value) for value in values] for name, values in history.items()},
        final[:weights],
        final[weights:],
        predictions,
        follower.divergence,
        follower.steps,
        follower.measured,
        follower.share,
        follower.reference.unit_roundoff,
        follower.reference.longest_sum,
        bool(model.jit_compile),
        model.steps_per_execution,
    )


@dataclasses.dataclass(frozen=True)
class _Part:
    """Epochs of a few of the steps."""

    train: Batches
    steps: tuple[int, ...]

    @property
    def steps_per_epoch(self) -> int:
        return len(self.steps)

    def epoch(self, epoch: int | tf.Variable, first_step: int = 0) -> tf.data.Dataset:
        batches = self.train.epoch(epoch)
        chosen = [batches.skip(step).take(1) for step in self.steps[first_step:]]
        return functools.reduce(lambda one, other: one.concatenate(other), chosen)


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
