"""The metrics of an epoch, as its steps make them, held against those that a loop reports."""

import math
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kerasmlp.comparison.verdict import Divergence
from kerasmlp.loops import Logs


class EpochMetrics:
    """The metrics of an epoch, step by step, as the reference has them."""

    def __init__(self, model: keras.Model) -> None:
        self._steps = [self.values(model)]
        self._sizes: list[int] = []

    @staticmethod
    def values(model: keras.Model) -> list[NDArray[Any]]:
        """Return the values of the metrics' variables."""
        return [np.array(variable) for variable in model.metrics_variables]

    @staticmethod
    def set(model: keras.Model, values: list[NDArray[Any]]) -> None:
        """Set the metrics' variables to `values`."""
        for variable, value in zip(model.metrics_variables, values, strict=True):
            variable.assign(value)

    def add(self, model: keras.Model, examples: int) -> None:
        """Take in a step on so many examples, which the model's metrics have just heard of."""
        values = self.values(model)
        if len(values) != len(self._steps[0]):  # made by the first step
            self._steps = [[np.zeros_like(value) for value in values]]
        self._steps.append(values)
        self._sizes.append(examples)

    def sums(self) -> list[NDArray[Any]]:
        """Return the metrics' variables after the last step."""
        return self._steps[-1]

    def _result(self, model: keras.Model, values: list[NDArray[Any]]) -> dict[str, float]:
        now = self.values(model)
        self.set(model, values)
        result = {name: float(value) for name, value in model.get_metrics_result().items()}
        self.set(model, now)
        return result

    def compare(
        self, model: keras.Model, logs: Logs, step: int, epochs: list[list[NDArray[Any]]]
    ) -> Divergence | None:
        """Return where the metrics that the loop reports are not those of its steps."""
        expected = self._result(model, self._steps[-1])
        for name, value in expected.items():
            if name not in logs:
                return Divergence(step, f"metric {name} is not reported at the end of the epoch")
            bound = self._bound(name, value)
            if not abs(float(logs[name]) - value) <= bound:
                cause = self._cause(model, logs, name, epochs)
                size = abs(float(logs[name]) - value)
                return Divergence(step, f"metric {name} of the epoch", size, bound, cause)
        return None

    def _bound(self, name: str, value: float) -> float:
        """Rounding of a mean over steps; for a count, as accuracy is, one example in a thousand too."""
        rounding = 2.0**-24 * (64 + len(self._sizes)) * max(1.0, abs(value))
        return (
            rounding
            if name == "loss"
            else rounding + max(1.0, sum(self._sizes) / 1000) / sum(self._sizes)
        )

    def _cause(
        self, model: keras.Model, logs: Logs, name: str, epochs: list[list[NDArray[Any]]]
    ) -> str | None:
        each = [
            self._result(model, [after - before for before, after in zip(*pair, strict=True)])[name]
            for pair in zip(self._steps, self._steps[1:], strict=False)
        ]
        total = [np.sum(values, axis=0, dtype=values[0].dtype) for values in zip(*epochs, strict=True)]
        without_last = self._result(model, self._steps[-2])[name] if len(self._steps) > 2 else math.nan
        explained = {
            "the metric is never updated": self._result(model, self._steps[0])[name],
            "metrics are not reset at the start of an epoch": self._result(model, total)[name],
            "the last partial batch is weighted wrongly: a mean of batch means": float(np.mean(each)),
            "the last batch of the epoch is left out of the metrics": without_last,
            "the metric is that of the last batch, not the mean of the epoch": each[-1],
            "the metric is the sum over the batches, not their mean": float(np.sum(each)),
        }
        scale = 1e-5 * max(1.0, abs(float(logs[name])))
        for cause, value in explained.items():
            if abs(value - float(logs[name])) <= scale:
                return f"{cause} (very likely: it gives the reported number to 5 digits)"
        return None
