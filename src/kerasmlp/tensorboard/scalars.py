"""The dashboards Scalars and Time Series: losses, metrics, learning rate, norms, speed."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from kerasmlp.callbacks import BatchLosses, Stopwatch
from kerasmlp.loops import Logs
from kerasmlp.models import averaged_weights
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.sample import Sample, trainable_weights


class Scalars(keras.callbacks.Callback):
    """Writes losses, metrics, the learning rate, norms and the speed to `train` and `validation`.

    With averaged weights, norms and the evaluation of `sample` are those of the averaged weights. A
    metric that is not a number, such as an F1 score for each class, is left out.

    Args:
        sample: training examples, for an evaluation and the norm of the gradients.
        every: the number of steps from one written batch loss to the next.
    """

    def __init__(
        self,
        events: Events,
        sample: Sample,
        stopwatch: Stopwatch,
        batch_losses: BatchLosses,
        every: int = 100,
    ) -> None:
        super().__init__()
        self._events, self._sample = events, sample
        self._stopwatch, self._batch_losses, self._every = stopwatch, batch_losses, every

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for step, loss, running in self._batch_losses.latest:
            if step % self._every == 0:
                values = {"loss/batch": loss}
                if step % self.params["steps"]:  # at the end of an epoch, the logs have it
                    values["loss/running"] = running
                self._events.write("train", step, scalar_pb, values)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        step = self._stopwatch.step
        write_logs(self._events, step, logs or {})
        train: dict[str, Any] = {}
        with averaged_weights(self.model):
            weights = trainable_weights(self.model)
        sample = self._sample.at(step)
        metrics, gradients = sample.metrics(self.model), sample.gradients(self.model)
        if gradients:
            squares = (np.vdot(gradient, gradient) for gradient in gradients.values())
            train["norms/gradients"] = np.sqrt(sum(squares))
        optimizer = self.model.optimizer
        if optimizer is not None and optimizer.built:  # a `train_step` may use others
            train["optimizer/learning_rate"] = float(optimizer.learning_rate)
        train |= {
            **{f"{name}/evaluation": value for name, value in metrics.items()},
            "speed/examples_per_second": self._stopwatch.examples_per_second,
            "speed/milliseconds_per_step": 1000 * self._stopwatch.seconds_per_step[-1],
            **{f"norms/weights/{name}": np.linalg.norm(weight) for name, weight in weights.items()},
        }
        self._events.write("train", step, scalar_pb, train)


def write_logs(events: Events, step: int, logs: Mapping[str, Any]) -> None:
    """Write the metrics of an epoch to `train`, those of the validation to `validation`."""
    train, validation = {}, {}
    for name, value in logs.items():
        if np.ndim(value):
            continue
        if name.startswith("val_"):
            validation[f"{name.removeprefix('val_')}/evaluation"] = value
        else:
            train[f"{name}/running"] = value
    for sub_run, values in (("train", train), ("validation", validation)):
        if values:
            events.write(sub_run, step, scalar_pb, values)
