"""Follows a loop step by step: whenever its state can be seen, the reference takes the same steps."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras

from kerasmlp.comparison import outside
from kerasmlp.comparison.checker import Checker
from kerasmlp.comparison.epoch_metrics import EpochMetrics
from kerasmlp.comparison.other_batches import drawn_batches, later_batches
from kerasmlp.comparison.randomness import draws_outside_seeds
from kerasmlp.comparison.reference import Batch, values, variables
from kerasmlp.comparison.rounding import Rounding, StepBound
from kerasmlp.comparison.verdict import PARTIAL_DROPPED, Divergence, State, same
from kerasmlp.comparison.watching import OwnOptimizers
from kerasmlp.data import Epochs
from kerasmlp.loops import Logs

MEASURE_ALL_UNTIL = 100
MEASURE_EVERY = 20
"""The bound is measured for steps that are not identical: for all of them up to step 100, then for every
20th execution and at the end of each epoch."""


class EndlessLoopError(Exception):
    """A loop draws so many batches that it may never end."""


class Follower(Checker, keras.callbacks.Callback):
    """Lets the reference take each step of a loop too, from the same state, and compares the results.

    The state of a loop can be seen when it calls a hook for a batch, and when it asks for the next
    batch. If it calls `on_train_batch_end`, then each call is an execution. Loops of users call few of
    the hooks, and number epochs and batches from 0 or 1, or over all epochs. So the numbers are only
    read with several steps in an execution. If it does not, an execution is what changed the state
    before the next batch is drawn, or begins.

    The callbacks of the reference hear each hook as from `fit`, and may change the state too.
    """

    def __init__(
        self,
        rounding: Rounding,
        train: Epochs,
        initial: State,
        model: keras.Model,
        own_optimizers: OwnOptimizers,
        on_execution: Callable[[], object] = lambda: None,
        most_draws: float = math.inf,
    ) -> None:
        super().__init__(rounding, train, initial, model, own_optimizers)
        self.is_hidden = False
        self._model, self._first_variables = model, variables(model)
        # A loop with an optimizer of its own may accumulate gradients by hand.
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        self._batches_an_update = getattr(optimizer, "gradient_accumulation_steps", None) or 1
        self._on_execution = on_execution
        self._draws, self._most_draws = 0, most_draws
        self._after = initial  # what the loop's last step ended in; it should start with it
        self._unheard = initial  # without what callbacks changed
        self._expected = self._reference.hear(initial, "train_begin")  # before its next step
        self._batches: Iterator[Batch] = iter(())  # of the epoch that has begun
        self._epoch = -1
        self._has_ended = True  # the epoch
        self._hears_begin, self._hears_batches = False, False
        self._drawn: list[Batch] = []  # since the last execution
        self._updates = own_optimizers.iterations()
        self._executions = 0
        self._next_step = 0
        self._ends = False  # so that the state may be finalised
        self._stops_at: int | None = None  # the step at which a callback of the reference stops

    # What a loop does

    def before_draw(self) -> None:
        """The loop asks for its next batch."""
        if not self._hears_batches:
            self._look(drawing=True)

    def after_draw(self, batch: Batch) -> None:
        self._drawn.append(batch)
        self._draws += 1
        if self._draws > self._most_draws:
            raise EndlessLoopError

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if not self._hears_batches:
            self._look()
        self._end_epoch()

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        if self.divergence is not None:
            return
        self._begin_epoch()
        now, calls_no_end = values(self._variables), self._hears_begin and not self._hears_batches
        self._hears_begin = True
        if self._agrees(self._expected, now):
            return
        if calls_no_end:
            self._look()
        else:
            self.divergence = self._outside(now)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._hears_batches = True
        if self.divergence is not None:
            return
        self._begin_epoch()
        steps = 1 if self.model.steps_per_execution == 1 else batch + 1 - self._in_epoch
        self._execute(values(self._variables), steps)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not self._hears_batches:
            self._look()
        if self.divergence is None and self.steps:
            self._end_epoch(logs)

    # What it means

    @property
    def _variables(self) -> list[Any]:
        """The variables of the loop's model. Building its optimizer again makes new ones."""
        now, first = variables(self._model), self._first_variables
        alike = [one.shape for one in now] == [one.shape for one in first]
        return now if alike else first

    @property
    def _in_epoch(self) -> int:
        """The number of the next step in its epoch, counted from 0."""
        return self._next_step - self._epoch * self._train.steps_per_epoch

    def _look(self, *, drawing: bool = False) -> None:
        """See whether the loop has trained since the last look. If `drawing`, it asks for a batch."""
        if self.divergence is not None or self.is_hidden:
            return
        now = values(self._variables)
        if same(now, self._after):
            return
        updates = self._own_optimizers.iterations()
        if updates == self._updates and self._drawn and not self._weights_changed(now):
            return  # statistics and seeds only: more batches make an update
        taken, drawn = updates - self._updates, len(self._drawn)
        self._updates = updates
        if not self._is_seen(taken, drawn, drawing):
            self.is_hidden = True
            return
        if drawn or drawing:
            self._begin_epoch()
        left = (self._epoch + 1) * self._train.steps_per_epoch - self._next_step
        steps = drawn if taken == drawn or drawn == self._batches_an_update else 1
        if drawn and steps > left and steps == self._batches_an_update:
            self._pass(left)
            self._begin_epoch()
            self._execute(now, steps - left)
        elif drawn and steps > left:
            self.is_hidden = True
        elif drawn:
            self._execute(now, steps)
            self._on_execution()
        elif self._agrees(self._expected, now):
            self._after = now  # a callback changed it, as that of the reference
        else:
            self.divergence = self._outside(now)

    def _weights_changed(self, now: State) -> bool:
        trained = {variable.path for variable in self._reference.model.trainable_variables}
        return any(
            path in trained and not same([old], [new])
            for path, old, new in zip(self._reference.paths, self._after, now, strict=True)
        )

    def _is_seen(self, taken: int, drawn: int, drawing: bool) -> bool:
        """Return whether a change can be one execution, or a change outside of the steps.

        Not if it has many more updates than batches were drawn, or none that Keras' optimizers count.
        """
        if not drawn:
            return not taken and (drawing or self.steps > 0)
        if drawn <= 2:
            return taken <= 2 * drawn
        return taken in (1, drawn)

    def _outside(self, now: State) -> Divergence:
        return outside.divergence(
            self._reference, self._train, self._expected, now, self._next_step, self._compared
        )

    def _begin_epoch(self) -> None:
        """Begin the next epoch, if the one before has all its steps."""
        if self._epoch >= 0 and self._next_step < (self._epoch + 1) * self._train.steps_per_epoch:
            return
        self._end_epoch()
        self._epoch += 1
        self._has_ended = False
        self._batches = iter(self._train.epoch(self._epoch))
        self._reference.model.reset_metrics()
        batches = functools.partial(self._train.epoch, self._epoch)
        self.metrics.append(EpochMetrics(self._reference, batches))
        self._expected = self._reference.hear(self._expected, "epoch_begin", self._epoch)

    def _execute(self, after: State, steps: int) -> None:
        self._after = after
        batches = list(itertools.islice(self._batches, steps))
        first = self._next_step
        if not self._executions:
            self._find_own_optimizer(self._initial, after)
            self.undecided = draws_outside_seeds(self._reference, self._expected, batches[0])
        if self._stops_at is not None:
            what = f"the loop goes on after step {first}, though a callback set stop_training"
            self.divergence = Divergence(first + 1, what, cause="the loop ignores its callbacks")
            return
        before, expected = self._advance(batches)
        if self._ends and not self.has_own_optimizer:
            expected = self._reference.finalize(expected)
        self._executions += 1
        if self._is_measured() and not self._agrees(expected, after):
            metrics = self.metrics[-1].values()
            right = StepBound(self._rounding, before, batches, expected)
            execution = self._experiment(right, after, self._drawn, self._unheard)
            others = itertools.chain(
                drawn_batches(self._train, first, self._drawn, batches),
                later_batches(self._train, first),
            )
            self._measure(first + 1, right, after, lambda: execution.find_cause(others))
            self.metrics[-1].restore(metrics)
        self._drawn = []
        self._note_slots()
        self._unheard = self._with_right_optimizer(after, expected)
        logs = self._reference.model.get_metrics_result() if self._reference.drives else {}
        self._expected = self._reference.hear(self._unheard, "train_batch_end", self._in_epoch - 1, logs)

    def _pass(self, steps: int) -> None:
        """Let the reference take steps that change nothing that can be seen, but for its sums."""
        _, self._unheard = self._advance(list(itertools.islice(self._batches, steps)))
        self._expected = self._reference.hear(self._unheard, "train_batch_end", self._in_epoch - 1, {})

    def _advance(self, batches: list[Batch]) -> tuple[State, State]:
        """Let the reference take the steps of `batches`. Return the states before and after them."""
        before = self._reference.hear(self._expected, "train_batch_begin", self._in_epoch)
        after = self._reference.train(before, batches)
        self.metrics[-1].add_execution(before, batches)
        self._next_step += len(batches)
        self.steps += len(batches)
        return before, after

    def _is_measured(self) -> bool:
        is_measured = self._next_step <= MEASURE_ALL_UNTIL or self._executions % MEASURE_EVERY == 0
        return is_measured or self._next_step % self._train.steps_per_epoch == 0

    def _end_epoch(self, logs: Logs | None = None) -> None:
        """Check that the epoch that has begun is complete, and the metrics that are reported of it."""
        if self.divergence is not None or self._has_ended:
            return
        missing = (self._epoch + 1) * self._train.steps_per_epoch - self._next_step
        if missing:
            partial = missing == 1 and self._next_step
            what = f"{missing} step(s) of epoch {self._epoch + 1} are missing"
            cause = PARTIAL_DROPPED if partial else None
            self.divergence = Divergence(self._next_step + 1, what, cause=cause)
            return
        self._has_ended = True
        metrics = self.metrics[-1]
        self._expected = metrics.end(self._expected)
        if logs and self._next_step:
            self.divergence = metrics.compare(logs, self._next_step, self.metrics)
        self._expected = self._reference.hear(self._expected, "epoch_end", self._epoch, metrics.results)
        if self._reference.drives and self._reference.model.stop_training:
            self._stops_at = self._next_step

    def check_end(self, epochs: int) -> None:
        """Compare the state at the end of the training with the end of `fit`. Call it after the loop."""
        self._ends = True
        if not self._hears_batches and (self._drawn or not self.steps):
            self._look()
        now = values(self._variables)
        if self.divergence is not None:
            return
        if not self.steps or self.is_hidden:
            self.is_hidden = not same(now, self._initial)
            return
        per_epoch = self._train.steps_per_epoch
        if 0 < len(self._drawn) < self._batches_an_update and not self._hears_batches:
            self._pass(len(self._drawn))
            self._after = now
        steps = self._stops_at or epochs * per_epoch
        self.divergence = Divergence.in_number(self._next_step, steps, per_epoch)
        if self.divergence is not None:
            return
        self._end_epoch()
        if self.divergence is None:
            own = self.has_own_optimizer
            expected = self._expected if own else self._reference.finalize(self._expected)
            expected = self._reference.hear(expected, "train_end")
            self.divergence = outside.after_the_last_step(
                self._reference, self._train, expected, self._after, now, self._next_step, self._compared
            )
