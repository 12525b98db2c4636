"""A loop that hides its steps in a graph: short calls of it are compared with the same steps.

1. A call in which each epoch has one step. The state can be seen whenever the loop asks for an epoch.
2. A call on the first steps of an epoch, and one on two epochs of two steps.
3. The real run is held by its end, as far as rounding lets it tell something (see `whole_run`).
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.comparison.causes import Cause, Experiment
from kerasmlp.comparison.checker import Checker
from kerasmlp.comparison.follower import Follower
from kerasmlp.comparison.randomness import draws_outside_seeds
from kerasmlp.comparison.reference import Batch, restore, state
from kerasmlp.comparison.rounding import Rounding, StepBound
from kerasmlp.comparison.verdict import PARTIAL_DROPPED, Divergence, State
from kerasmlp.comparison.watching import OwnOptimizers
from kerasmlp.comparison.whole_run import WholeRun
from kerasmlp.data import Epochs

SHORT_EPOCHS = 64
"""At most so many steps are looked at one by one."""
FIRST_STEPS = 8
"""Steps of the call on the beginning of an epoch."""


class ShortCalls(Checker):
    """Calls a loop, which has just trained `model`, for a few steps at a time."""

    def __init__(
        self,
        rounding: Rounding,
        train: Epochs,
        initial: State,
        loop: loops.Loop,
        model: keras.Model,
        own_optimizers: OwnOptimizers,
    ) -> None:
        super().__init__(rounding, train, initial, model, own_optimizers)
        self._loop, self._model = loop, model
        self._find_own_optimizer(initial, state(model))
        self.failure: str | None = None
        self.end_is_seen = False

    def check(
        self,
        epochs: int,
        callbacks: Callable[[], Sequence[keras.callbacks.Callback]],
        final: State,
    ) -> None:
        """Check the short calls, then the training that has just ended in the state `final`.

        `callbacks` returns new callbacks for a call.
        """
        per_epoch = self._train.steps_per_epoch
        done = self._own_optimizers.iterations()
        first = self._train.first_batch()
        self.undecided = draws_outside_seeds(self._reference, self._initial, first)
        try:
            if self._reference.drives:  # its callbacks count epochs
                self._check_epochs(epochs, per_epoch, callbacks)
            else:
                self._check_calls(min(SHORT_EPOCHS, epochs * per_epoch))
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
        if self.divergence is None:
            self._check_end(WholeRun(self._rounding, self._train, epochs, self._initial), final, done)
        if self.divergence is None and not self.steps and not self.end_is_seen:
            self.undecided = self.undecided or (
                "the loop hides its steps in a graph, rounding is too large at its end, and it cannot be"
                f" called for a few steps: {self.failure}"
            )

    def _restart(self) -> None:
        self._own_optimizers.reset()
        restore(self._model, self._initial)

    def _check_epochs(
        self, count: int, length: int, callbacks: Callable[[], Sequence[keras.callbacks.Callback]]
    ) -> None:
        """Check a call for `count` epochs of `length` steps: the first steps of the training."""
        follower = self._follow(count, length, callbacks)
        self.steps, self.measured, self.share = follower.steps, follower.measured, follower.share
        self.divergence = follower.divergence

    def _follow(
        self, count: int, length: int, callbacks: Callable[[], Sequence[keras.callbacks.Callback]]
    ) -> Follower:
        """Call the loop for `count` epochs of `length` steps, and follow it."""
        self._restart()
        per_epoch = self._train.steps_per_epoch

        def place(epoch: int) -> tuple[int, range]:
            of_train, first = divmod(epoch * length, per_epoch)
            return of_train, range(first, first + length)

        quiet, train = (_Part(self._train, place, length) for _ in range(2))
        follower = Follower(self._rounding, quiet, self._initial, self._model, self._own_optimizers)
        train.follower = follower
        follower.set_model(self._model)
        validation = self._reference.validation if self._reference.drives else None
        self._loop(self._model, train, validation, count, [follower, *callbacks()])
        follower.check_end(count)
        return follower

    def _check_calls(self, steps: int) -> None:
        """Check calls on parts of the training; the first wrong step tells where."""
        per_epoch = self._train.steps_per_epoch
        beginning = range(min(FIRST_STEPS, per_epoch))
        in_epoch = self._call(beginning, 1).agrees
        if in_epoch:
            two = self._call((0, per_epoch - 1)[:per_epoch], 2)
            if not two.agrees:
                self._diverge(two, per_epoch + 1, self._cause_between_epochs)
                return
        self._check_epochs(steps, 1, lambda: ())
        if not in_epoch and (self.divergence is None or not self.steps):
            calls = ((n, self._call(range(n), 1)) for n in range(1, len(beginning) + 1))
            at, wrong = next((n, call) for n, call in calls if not call.agrees)
            self._diverge(wrong, at, self._cause_within_an_epoch)
        self.steps = max(self.steps, len(beginning))

    def _call(self, steps: Sequence[int], epochs: int) -> "_Call":
        """Call the loop on these steps of each epoch."""
        part = _Part(self._train, lambda epoch: (epoch, steps), len(steps))
        batches = [batch for epoch in range(epochs) for batch in part.epoch(epoch)]
        self._restart()
        self._loop(self._model, part, None, epochs, [])
        received = state(self._model)
        expected = self._reference.finalize(self._reference.train(self._initial, batches))
        right = StepBound(self._rounding, self._initial, batches, expected)
        agrees = self._agrees(expected, received)
        agrees = agrees or right.deviation(received, self._compared).is_rounding
        return _Call(right, received, agrees)

    def _diverge(
        self, call: "_Call", step: int, causes: Callable[[Experiment], Cause | str | None]
    ) -> None:
        """Set the divergence to that of a call, which has just ended."""
        self.steps = max(self.steps, len(call.right.batches))
        experiment = self._experiment(call.right, call.received)
        self._measure(step, call.right, call.received, lambda: causes(experiment))

    def _check_end(self, right: WholeRun, final: State, done: int) -> None:
        self.metrics = right.metrics
        per_epoch = self._train.steps_per_epoch
        if done and (found := Divergence.in_number(done, right.steps, per_epoch)):
            missing = right.steps - done
            if missing > 0 and missing % len(right.metrics) == 0 and missing % per_epoch:
                each = f"{missing // len(right.metrics)} step(s) of each epoch are left out"
                found = dataclasses.replace(found, step=1, cause=each)
            self.divergence = found
            return
        self.end_is_seen = right.is_telling
        gap = right.deviation(final, self._compared)
        if self.end_is_seen and not gap.is_rounding:
            what = f"{gap.variable}, at the end of training,"
            self.divergence = Divergence(right.steps, what, gap.size, gap.bound)

    def _cause_within_an_epoch(self, call: Experiment) -> Cause | None:
        """Return why the first steps of an epoch are wrong although those before the last are right."""
        batches = list(call.right.batches)
        mistakes: dict[str, list[Batch]] = {}
        for at in range(len(batches)):
            number = f"batch {at + 1} of the epoch"
            mistakes[f"{number} is used twice"] = [*batches[: at + 1], *batches[at:]]
            mistakes[f"{number} is used twice, and the next one is left out"] = [
                *batches[: at + 1],
                batches[at],
                *batches[at + 2 :],
            ]
            mistakes[f"{number} is left out"] = [*batches[:at], *batches[at + 1 :]]
        together = (
            "other batches, or another order: with one batch an epoch each step is right, with several"
            " it is not"
        )
        found = self._first_that_fits(call, mistakes)
        if found is None:
            found = call.find_cause() if len(batches) == 1 else Cause((together,), exact=False)
        return found

    def _cause_between_epochs(self, call: Experiment) -> Cause | str | None:
        """Return why two epochs are wrong although single steps are right."""
        batches = list(call.right.batches)
        half = len(batches) // 2
        cause = self._first_that_fits(
            call,
            {
                "the same batches in each epoch: those of the first are repeated": 2 * batches[:half],
                PARTIAL_DROPPED: [batches[0], batches[half]],
                "the loop trains one epoch only": batches[:half],
            },
        )
        if cause is None:  # what changes between epochs may show in short ones too
            divergence = self._follow(2 * self._train.steps_per_epoch, 1, lambda: ()).divergence
            return divergence.cause if divergence else None
        return cause

    def _first_that_fits(self, call: Experiment, mistakes: dict[str, list[Batch]]) -> Cause | None:
        """Return the first mistake that gives the state of the loop: the batches that it leads to."""
        for name, others in mistakes.items():
            wrong = self._reference.finalize(self._reference.train(self._initial, others))
            if self._agrees(wrong, call.received):
                return Cause((name,), exact=True)
            bound = StepBound(self._rounding, self._initial, others, wrong)
            if others and bound.deviation(call.received, self._compared).is_rounding:
                return Cause((name,), exact=False)
        return None


class _Call(NamedTuple):
    """A call of the loop: the right steps, the state in which it ended, and whether they agree."""

    right: StepBound
    received: State
    agrees: bool


class _Part(Epochs):
    """Training data with only some of the steps of each epoch.

    Args:
        place: returns, for an epoch of the part, the epoch of `train` and the steps in it.
        count: the number of these steps.
    """

    follower: Follower | None = None
    _asked: int | tf.Tensor = -1

    def __init__(
        self, train: Epochs, place: Callable[[int], tuple[int, Sequence[int]]], count: int
    ) -> None:
        self._train, self._place, self._count = train, place, count
        self.batch_size = train.batch_size

    @property
    def steps_per_epoch(self) -> int:
        return self._count

    def epoch(self, epoch: int | tf.Tensor, first_step: int = 0) -> tf.data.Dataset:
        of_train, steps = self._place(int(epoch))
        batches = self._train.epoch(of_train)
        chosen = [batches.skip(step).take(1) for step in steps[first_step:]]
        dataset = functools.reduce(tf.data.Dataset.concatenate, chosen)
        if self.follower is not None and not tf.inside_function():
            self.follower.before_draw()
            if epoch != self._asked:  # a loop may ask twice, for the types of a batch
                for batch in dataset:
                    self.follower.after_draw(batch)
            self._asked = epoch
        return dataset
