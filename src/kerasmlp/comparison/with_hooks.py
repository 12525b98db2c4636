"""A loop that calls the hooks of its callbacks: every step is compared with Keras' own step."""

import itertools
from collections.abc import Iterator

import keras
import numpy as np

from kerasmlp.comparison.causes import Experiment
from kerasmlp.comparison.checker import Checker
from kerasmlp.comparison.epoch_metrics import EpochMetrics
from kerasmlp.comparison.reference import Batch, state
from kerasmlp.comparison.rounding import Rounding, StepBound
from kerasmlp.comparison.verdict import Divergence, State, same
from kerasmlp.data import Batches
from kerasmlp.loops import Logs

MEASURE_ALL_UNTIL = 100
MEASURE_EVERY = 20
"""The bound is measured for steps that are not identical: for all of them up to step 100, then for every
20th execution and at the end of each epoch."""
_PARTIAL_DROPPED = "the last, partial batch of the epoch is dropped"


class StepChecker(Checker, keras.callbacks.Callback):
    """Lets the reference take each step of a loop too, from the same state, and compares the results.

    Loops of users call few of the hooks, and number epochs and batches from 0 or 1, or over all epochs.
    So a call of `on_train_batch_end` is what counts: it is the next execution. Only with several steps
    in an execution its number is read, as Keras gives it.
    """

    def __init__(self, rounding: Rounding, train: Batches, initial: State) -> None:
        super().__init__(rounding, train, initial)
        self._after = initial  # the loop should start with it
        self._optimizer = initial[self._weights :]  # of the reference, if the loop has its own
        self._before: State | None = None
        self._batches: Iterator[Batch] | None = None  # of the epoch that has begun
        self._epoch = -1
        self._has_ended = False  # the epoch
        self._executions = 0
        self._next_step = 0
        self._metrics_of_epochs: list[State] = []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._end_epoch()
        self._epoch += 1
        self._has_ended = False
        self._batches = iter(self._train.epoch(self._epoch))
        self._next_step = self._epoch * self._train.steps_per_epoch
        self._reference.model.reset_metrics()
        self._metrics = EpochMetrics(self._reference.model)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._before = state(self.model)
        if self.divergence is None and not same(self._before, self._after):
            self.divergence = self._changed_outside_a_step(self._before)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        before = self._after if self._before is None else self._before
        self._before, self._after = None, state(self.model)
        if self.divergence is not None:
            return
        per_epoch, first = self._train.steps_per_epoch, self._next_step
        if self._batches is None or (first == (self._epoch + 1) * per_epoch and not self._has_ended):
            self.on_epoch_begin(self._epoch + 1)  # the loop does not call it
        in_epoch = first - self._epoch * per_epoch
        steps = 1 if self.model.steps_per_execution == 1 else batch + 1 - in_epoch
        batches = list(itertools.islice(self._batches or (), steps))
        if not batches:
            what = f"the loop takes more than the {per_epoch} steps of epoch {self._epoch + 1}"
            self.divergence = Divergence(first + 1, what)
            return
        self._next_step += len(batches)
        self._check_execution(before, batches)

    def _check_execution(self, before: State, batches: list[Batch]) -> None:
        first = self._next_step - len(batches)
        before = self._before_of_the_reference(before)
        expected = self._reference.train(before, batches)
        self._optimizer = expected[self._weights :]
        self._metrics.add_execution(sum(len(y) for _, y in batches))
        self.steps += len(batches)
        self._executions += 1
        compared = slice(self._compared)
        is_measured = self._next_step <= MEASURE_ALL_UNTIL or self._executions % MEASURE_EVERY == 0
        is_measured = is_measured or self._next_step % self._train.steps_per_epoch == 0
        if is_measured and not same(expected[compared], self._after[compared]):
            metrics = self._metrics.values()
            right = StepBound(self._rounding, before, batches, expected)
            execution = Experiment(right, self._after, self._compared)
            others = self._other_batches(first)
            self._measure(first + 1, right, self._after, lambda: execution.find_cause(others))
            self._metrics.restore(metrics)

    def _before_of_the_reference(self, before: State) -> State:
        """Return the state from which the reference takes the execution that has just ended."""
        if not self.steps:
            self._find_own_optimizer(before, self._after)
        return [*before[: self._weights], *self._optimizer] if self.has_own_optimizer else before

    def _other_batches(self, step: int) -> Iterator[tuple[str, Batch]]:
        """Yield all other batches until the end of the next epoch, with the cause that each would be."""
        per_epoch = self._train.steps_per_epoch
        for epoch in range(step // per_epoch + 2):
            for position, batch in enumerate(self._train.epoch(epoch)):
                other = epoch * per_epoch + position
                if other == step + 1 and (step + 1) % per_epoch == 0:
                    yield _PARTIAL_DROPPED, batch
                elif other != step:
                    name = (
                        f"another order of the batches: this is the batch of step {other + 1}"
                        f" (batch {position + 1} of epoch {epoch + 1})"
                    )
                    yield name, batch

    def _changed_outside_a_step(self, before: State) -> Divergence:
        """Return what the loop changed between two steps, or before the first.

        `before` is the state from which it takes its next step.
        """
        pairs = zip(self._reference.paths, self._after, before, strict=True)
        changed = [(path, old, new) for path, old, new in pairs if not same([old], [new])]
        path, old, new = changed[0]
        step = self._next_step
        when = "before the first step" if step == 0 else f"between the steps {step} and {step + 1}"
        cause = f"the loop changes the state outside its steps: {', '.join(p for p, _, _ in changed)}"
        for name, one, other in changed:
            if name.endswith("learning_rate"):
                cause = f"another learning rate: {float(other):g}, not {float(one):g}"
        size = float(np.abs(new.astype(float) - old).max()) if old.shape == new.shape else None
        return Divergence(step + 1, f"{path}, changed {when},", size, 0.0, cause)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._end_epoch(logs or {})

    def _end_epoch(self, logs: Logs | None = None) -> None:
        """Check that the epoch that has begun is complete, and the metrics that are reported of it.

        Without `logs`, it is the next epoch or the end that tells that the epoch has ended.
        """
        if self.divergence is not None or not self.steps or self._has_ended:
            return
        missing = (self._epoch + 1) * self._train.steps_per_epoch - self._next_step
        if missing:
            partial = missing == 1 and self._train.examples % self._train.batch_size
            what = f"{missing} step(s) of epoch {self._epoch + 1} are missing"
            cause = _PARTIAL_DROPPED if partial else None
            self.divergence = Divergence(self._next_step + 1, what, cause=cause)
            return
        self._has_ended = True
        self._metrics_of_epochs.append(self._metrics.last)
        if not logs:
            return
        if self._metrics.are_reported(logs):
            self.divergence = self._metrics.compare(logs, self._next_step, self._metrics_of_epochs)
        else:
            self.reports_metrics = False

    def check_end(self, model: keras.Model, epochs: int) -> None:
        """Compare the state at the end of the training with the end of `fit`. Call it after the loop."""
        if not self.steps:
            return
        steps = epochs * self._train.steps_per_epoch
        if self._next_step != steps:
            what = f"the loop ended after {self._next_step} steps, not after {steps}"
            self.divergence = self.divergence or Divergence(self._next_step + 1, what)
        self._end_epoch()
        if self.divergence is not None:
            return
        final = state(model)
        expected = self._after if self.has_own_optimizer else self._reference.finalize(self._after)
        for path, right, received in zip(self._reference.paths, expected, final, strict=True):
            if not np.allclose(right, received, rtol=1e-6, atol=1e-7):
                end = "EMA is not finalised: optimizer.finalize_variable_values is not called at the end"
                changed = "the loop changes the weights after its last step"
                cause = end if same(self._after, final) else changed
                size = float(np.abs(right.astype(float) - received).max())
                what = f"{path}, at the end of training,"
                self.divergence = Divergence(steps, what, size, 1e-7, cause)
                return
