"""The metrics of an epoch: those that a loop reports, compared with those of the reference."""

import contextlib
import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.comparison.reference import RIGHT, Batch, Reference, assign, values
from kerasmlp.comparison.verdict import Divergence, State
from kerasmlp.loops import History, Logs


class EpochMetrics:
    """The metrics of the reference after each step of an epoch. They are reset when it starts.

    Attributes:
        results: the metrics at the end of the epoch, those of the validation data included.
        spread: how far rounding moves each metric, beyond that of its own sum.
    """

    def __init__(self, reference: Reference, batches: Callable[[], tf.data.Dataset]) -> None:
        self._reference, self._model = reference, reference.model
        self._batches = batches
        self._after_steps = [self.values()]
        self._batch_sizes: list[int] = []
        self._begin: State | None = None
        self.results: dict[str, float] = {}
        self.spread: dict[str, float] = {}

    def values(self) -> State:
        """Return the values of the variables of the metrics."""
        return [np.array(variable) for variable in self._model.metrics_variables]

    def restore(self, to: State) -> None:
        assign(self._model.metrics_variables, to)

    def add_execution(self, before: State, batches: Sequence[Batch]) -> None:
        """Add the metrics after an execution that the reference took from `before`."""
        self._begin = before if self._begin is None else self._begin
        now = self.values()
        if len(now) != len(self._after_steps[0]):  # Keras creates the variables in the first step
            self._after_steps = [[np.zeros_like(value) for value in now]]
        self._after_steps.append(now)
        self._batch_sizes.append(sum(loops.batch_length(batch) for batch in batches))

    @property
    def last(self) -> State:
        """The values after the last execution."""
        return self._after_steps[-1]

    def end(self, at: State) -> State:
        """End the epoch in the state `at`, with a validation if there are data for it.

        Return the state after the validation.
        """
        self._end = at
        self.results = self._results(self.last)
        after, validated = self._reference.validate(at)
        self.results |= validated
        return after

    def compare(self, logs: Logs, step: int, epochs: "Sequence[EpochMetrics]") -> Divergence | None:
        """Return the first metric in `logs`, of the epoch's end, that differs by more than rounding.

        `step` is the number of the last step; `epochs` has the metrics of the epochs so far.
        """
        for name in self._reported(logs):
            expected, received = self.results[name], float(logs[name])
            bound = self._bound(name, expected) + self.spread.get(name, 0.0)
            size = 0.0 if math.isnan(received) and math.isnan(expected) else abs(received - expected)
            if not size <= bound:
                cause = next(self._causes(name, received, epochs), None)
                return Divergence(step, f"metric {name} of the epoch", size, bound, cause)
        return None

    def known(self, logs: Logs) -> list[str]:
        """Return the names of the metrics in `logs` that the reference has too.

        The losses of several outputs are left out: how Keras weighs their batches depends on whether a
        batch's size is known in the graph, so `fit` reports other numbers than `train_step`.
        """
        return [
            name
            for name in self.results
            if name in logs
            and np.size(logs[name]) == 1
            and (not name.endswith("_loss") or name == "val_loss")
        ]

    def are_updated(self, logs: Logs) -> bool:
        """Return whether `logs` has a metric of training that was updated since the epoch's start."""
        return any(not name.startswith("val_") for name in self._reported(logs))

    def _reported(self, logs: Logs) -> list[str]:
        """Return the known metrics in `logs`; not those of training if none of them was updated."""
        known = self.known(logs)
        trained = [name for name in known if not name.startswith("val_")]
        at_start = self._at_start if trained else {}  # before the first step, there are no metrics
        if any(float(logs[name]) != at_start.get(name) for name in trained):
            return known
        return [name for name in known if name not in trained]

    @property
    def _at_start(self) -> dict[str, float]:
        return self._results([np.zeros_like(value) for value in self.last])

    def _results(self, of: State) -> dict[str, float]:
        """Return the metrics for these values of their variables."""
        current = self.values()
        self.restore(of)
        results = {
            name: float(value)
            for name, value in self._model.get_metrics_result().items()
            if np.size(value) == 1
        }
        self.restore(current)
        return results

    def _bound(self, name: str, value: float) -> float:
        """Return the bound on rounding of a mean over the steps.

        A metric that counts, such as accuracy, may also differ in one example of a thousand.
        """
        rounding = 2.0**-24 * (64 + len(self._batch_sizes)) * max(1.0, abs(value))
        examples = sum(self._batch_sizes)
        if name.endswith("loss"):
            return rounding + (1e-5 * abs(value) if name.startswith("val_") else 0.0)
        return rounding + max(1.0, examples / 1000) / examples

    def _causes(self, name: str, received: float, epochs: "Sequence[EpochMetrics]") -> Iterator[str]:
        """Yield the known mistakes that give the metric that was received."""
        found = [
            mistake
            for mistake, value in self._mistakes(name, epochs)
            if abs(value - received) <= 1e-5 * max(1.0, abs(received))
        ]
        if found:
            sure = "very likely: it gives" if len(found) == 1 else "each of them gives"
            yield f"{'; or '.join(found)} ({sure} the reported number to 5 digits)"
        expected = self.results[name]
        if name.endswith("loss") and expected and math.isfinite(received / expected):
            yield f"the reported number is {received / expected:.3g} times the right one"

    def _mistakes(self, name: str, epochs: "Sequence[EpochMetrics]") -> Iterator[tuple[str, float]]:
        if name.startswith("val_"):
            yield from self._mistakes_in_validation(name.removeprefix("val_"))
            return
        of_steps = [
            self._results([after - before for before, after in zip(*pair, strict=True)])[name]
            for pair in itertools.pairwise(self._after_steps)
        ]
        yield "the metric is never updated", self._at_start.get(name, math.nan)
        last = (each.last for each in epochs)
        total = [np.sum(parts, axis=0, dtype=parts[0].dtype) for parts in zip(*last, strict=True)]
        yield "metrics are not reset at the start of an epoch", self._results(total)[name]
        mean = statistics.fmean(of_steps)
        yield "the last partial batch is weighted wrongly: a mean of batch means", mean
        if len(of_steps) > 1:
            left_out = self._results(self._after_steps[-2])[name]
            yield "the last batch of the epoch is left out of the metrics", left_out
        yield "the metric is that of the last batch, not the mean of the epoch", of_steps[-1]
        yield "the metric is the sum over the batches, not the mean", sum(of_steps)
        for training in (True, False):
            flag = f"training={training}"
            after = self._taken(training=training, after_update=True).get(name, math.nan)
            yield f"metrics are taken after the update, with {flag}", after
        before = self._taken(training=False).get(name, math.nan)
        yield "metrics are taken from a forward pass with training=False", before
        swapped = self._taken(training=True, swapped=True).get(name, math.nan)
        yield "the arguments of the metric are swapped", swapped

    def _mistakes_in_validation(self, name: str) -> Iterator[tuple[str, float]]:
        wrong = "the metrics of the validation are those of the training data"
        yield wrong, self.results.get(name, math.nan)
        yield wrong, self._evaluated(self._batches()).get(name, math.nan)
        validation = self._reference.validation or ()
        quiet = self._evaluated(validation).get(name, math.nan)
        yield "callbacks do not hear the validation: model.evaluate is called without them", quiet
        loud = self._evaluated(validation, training=True).get(name, math.nan)
        if loud != quiet:
            yield "validation changes the state: training=True", loud

    def _evaluated(self, batches: Iterable[Batch], *, training: bool = False) -> dict[str, float]:
        """Return the metrics of batches at the end of the epoch. No callback hears of it."""
        with self._anew(self._end):
            for batch in batches:
                self._add_pass(batch, training=training)
            return self._results(self.values())

    def _taken(
        self, *, training: bool, swapped: bool = False, after_update: bool = False
    ) -> dict[str, float]:
        """Take the epoch again; the metrics of each step are those of a forward pass of its own."""
        variables = self._reference.variables
        assert self._begin is not None
        with self._anew(self._begin):
            for batch in self._batches():
                if after_update:
                    RIGHT.take(self._model, batch)
                at = values(variables)
                self._add_pass(batch, training=training, swapped=swapped)
                assign(variables, at)
                if not after_update:
                    RIGHT.take(self._model, batch)
            return self._results(self.values())

    @contextlib.contextmanager
    def _anew(self, at: State) -> Iterator[None]:
        """A context that begins in the state `at` with metrics of nothing, and puts them back."""
        current = self.values()
        self._reference.restore(at)
        self.restore([np.zeros_like(value) for value in current])
        try:
            yield
        finally:
            self.restore(current)

    def _add_pass(self, batch: Batch, *, training: bool, swapped: bool = False) -> None:
        """Add the metrics of a forward pass."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        y_pred = self._model(x, training=training)
        loss = self._model.compute_loss(x, y, y_pred, weight, training=training)
        pair = (y_pred, y) if swapped else (y, y_pred)
        loops.update_metrics(self._model, loss, x, *pair, weight)


def compare_history(
    history: History, epochs: Sequence[EpochMetrics], steps_per_epoch: int
) -> Divergence | None:
    """Return the first metric that a loop returned and that differs from the reference's."""
    steps = len(epochs) * steps_per_epoch
    for name, received in history.items():
        if epochs and name in epochs[0].results and len(received) not in (len(epochs), steps):
            what = f"the loop returned {len(received)} values of {name} for {len(epochs)} epochs"
            return Divergence(steps, what, cause="the loop returns wrong metrics")
    for number, metrics in enumerate(epochs):
        of_epoch = {
            name: values[number] for name, values in history.items() if len(values) == len(epochs)
        }
        step = (number + 1) * steps_per_epoch
        if found := metrics.compare(of_epoch, step, epochs[: number + 1]):
            return found
    return None
