"""A loop that calls the hooks of its callbacks: every step is compared with Keras' own step."""

from collections.abc import Iterator

import keras
import numpy as np

from kerasmlp.comparison.causes import Experiment
from kerasmlp.comparison.checker import Checker
from kerasmlp.comparison.epoch_metrics import EpochMetrics
from kerasmlp.comparison.reference import Batch, state
from kerasmlp.comparison.rounding import Rounding
from kerasmlp.comparison.verdict import Divergence, State, same
from kerasmlp.data import Batches
from kerasmlp.loops import Logs

MEASURE_ALL_UNTIL = 100
MEASURE_EVERY = 20
"""The bound is measured for steps that are not identical: for all of them up to step 100, then for every
20th execution and at the end of each epoch."""
_PARTIAL_DROPPED = "the last, partial batch of the epoch is dropped"


class StepChecker(Checker, keras.callbacks.Callback):
    """Lets the reference take each step of a loop too, from the same state, and compares the results."""

    def __init__(self, rounding: Rounding, train: Batches, initial: State) -> None:
        super().__init__(rounding, train)
        self._after = initial  # the loop should start with it
        self._executions = 0
        self._next_step = 0
        self._metrics_of_epochs: list[State] = []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch
        self._batches = iter(self._train.epoch(epoch))
        self._next_step = epoch * self._train.steps_per_epoch
        self._reference.model.reset_metrics()
        self._metrics = EpochMetrics(self._reference.model)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._first_batch = batch
        self._before = state(self.model)
        if self.divergence is None and not same(self._before, self._after):
            self.divergence = self._changed_outside_a_step()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._after = state(self.model)
        if self.divergence is not None:
            return
        per_epoch = self._train.steps_per_epoch
        end = min(batch + 1, per_epoch)
        batches = [next(self._batches) for _ in range(self._first_batch, end)]
        self._next_step = self._epoch * per_epoch + end
        expected = self._reference.train(self._before, batches)
        self._metrics.add_execution(sum(len(y) for _, y in batches))
        self.steps += len(batches)
        self._executions += 1
        is_measured = self._next_step <= MEASURE_ALL_UNTIL or self._executions % MEASURE_EVERY == 0
        if (is_measured or end == per_epoch) and not same(expected, self._after):
            metrics = self._metrics.values()
            first = self._next_step - len(batches)
            execution = Experiment(self._rounding, self._before, batches, self._after)
            others = self._other_batches(first)
            self._measure(first + 1, execution, expected, lambda: execution.find_cause(others))
            self._metrics.restore(metrics)

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

    def _changed_outside_a_step(self) -> Divergence:
        """Return what the loop changed between two steps, or before the first."""
        pairs = zip(self._reference.paths, self._after, self._before, strict=True)
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
        if self.divergence is not None:
            return
        missing = (epoch + 1) * self._train.steps_per_epoch - self._next_step
        if missing:
            partial = missing == 1 and len(self._train.images) % self._train.batch_size
            what = f"{missing} step(s) of epoch {epoch + 1} are missing"
            cause = _PARTIAL_DROPPED if partial else None
            self.divergence = Divergence(self._next_step + 1, what, cause=cause)
            return
        self._metrics_of_epochs.append(self._metrics.last)
        self.divergence = self._metrics.compare(logs or {}, self._next_step, self._metrics_of_epochs)

    def check_end(self, model: keras.Model, epochs: int) -> None:
        """Compare the state at the end of the training with the end of `fit`. Call it after the loop."""
        if self.divergence is not None or not self.steps:
            return
        steps = epochs * self._train.steps_per_epoch
        if self._next_step < steps:
            what = f"the loop ended after {self._next_step} of {steps} steps"
            self.divergence = Divergence(self._next_step + 1, what)
            return
        final, expected = state(model), self._reference.finalize(self._after)
        for path, right, received in zip(self._reference.paths, expected, final, strict=True):
            if not np.allclose(right, received, rtol=1e-6, atol=1e-7):
                end = "EMA is not finalised: optimizer.finalize_variable_values is not called at the end"
                changed = "the loop changes the weights after its last step"
                cause = end if same(self._after, final) else changed
                size = float(np.abs(right.astype(float) - received).max())
                what = f"{path}, at the end of training,"
                self.divergence = Divergence(steps, what, size, 1e-7, cause)
                return
