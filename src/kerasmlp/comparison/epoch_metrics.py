"""The metrics of an epoch: those that a loop reports, compared with those of the reference."""

import itertools
import math
import statistics

import keras
import numpy as np

from kerasmlp.comparison.reference import assign
from kerasmlp.comparison.verdict import Divergence, State
from kerasmlp.loops import Logs


class EpochMetrics:
    """The metrics of the reference after each step of an epoch. They are reset when it starts."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._after_steps = [self.values()]
        self._batch_sizes: list[int] = []

    def values(self) -> State:
        """Return the values of the variables of the metrics."""
        return [np.array(variable) for variable in self._model.metrics_variables]

    def restore(self, values: State) -> None:
        assign(self._model.metrics_variables, values)

    def add_execution(self, examples: int) -> None:
        """Add the metrics after an execution that the reference took on this number of examples."""
        values = self.values()
        if len(values) != len(self._after_steps[0]):  # Keras creates the variables in the first step
            self._after_steps = [[np.zeros_like(value) for value in values]]
        self._after_steps.append(values)
        self._batch_sizes.append(examples)

    @property
    def last(self) -> State:
        """The values after the last execution."""
        return self._after_steps[-1]

    def compare(self, logs: Logs, step: int, epochs: list[State]) -> Divergence | None:
        """Return the first metric in `logs`, of the epoch's end, that differs by more than rounding.

        `step` is the number of the last step; `epochs` has the values at the end of each epoch so far.
        """
        for name, expected in self._results(self.last).items():
            if name not in logs:
                return Divergence(step, f"metric {name} is not reported at the end of the epoch")
            received, bound = float(logs[name]), self._bound(name, expected)
            size = abs(received - expected)
            if not size <= bound:
                cause = self._cause(name, received, epochs)
                return Divergence(step, f"metric {name} of the epoch", size, bound, cause)
        return None

    def are_reported(self, logs: Logs) -> bool:
        """Return whether `logs` has a metric of the model that was updated since the epoch's start."""
        start = self._results([np.zeros_like(value) for value in self.last])
        return any(name in logs and float(logs[name]) != value for name, value in start.items())

    def _results(self, values: State) -> dict[str, float]:
        """Return the metrics for these values of their variables."""
        current = self.values()
        self.restore(values)
        results = {name: float(value) for name, value in self._model.get_metrics_result().items()}
        self.restore(current)
        return results

    def _bound(self, name: str, value: float) -> float:
        """Return the bound on rounding of a mean over the steps.

        A metric that counts, such as accuracy, may also differ in one example of a thousand.
        """
        rounding = 2.0**-24 * (64 + len(self._batch_sizes)) * max(1.0, abs(value))
        examples = sum(self._batch_sizes)
        return rounding if name == "loss" else rounding + max(1.0, examples / 1000) / examples

    def _cause(self, name: str, received: float, epochs: list[State]) -> str | None:
        """Return the known mistake that gives the metric that was received."""
        of_steps = [
            self._results([after - before for before, after in zip(*pair, strict=True)])[name]
            for pair in itertools.pairwise(self._after_steps)
        ]
        total = [np.sum(values, axis=0, dtype=values[0].dtype) for values in zip(*epochs, strict=True)]
        mean = statistics.fmean(of_steps)
        mistakes = {
            "the metric is never updated": self._results(self._after_steps[0])[name],
            "metrics are not reset at the start of an epoch": self._results(total)[name],
            "the last partial batch is weighted wrongly: a mean of batch means": mean,
            "the last batch of the epoch is left out of the metrics": (
                self._results(self._after_steps[-2])[name] if len(of_steps) > 1 else math.nan
            ),
            "the metric is that of the last batch, not the mean of the epoch": of_steps[-1],
            "the metric is the sum over the batches, not the mean": sum(of_steps),
        }
        for mistake, value in mistakes.items():
            if abs(value - received) <= 1e-5 * max(1.0, abs(received)):
                return f"{mistake} (very likely: it gives the reported number to 5 digits)"
        return None
