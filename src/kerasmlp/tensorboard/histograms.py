"""The dashboards Histograms and Distributions: histograms of weights and gradients."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram import metadata as histograms
from tensorboard.plugins.histogram.summary_v2 import DEFAULT_BUCKET_COUNT, histogram_pb
from tensorboard.util.tensor_util import make_tensor_proto

from kerasmlp.callbacks import Stopwatch
from kerasmlp.loops import Logs
from kerasmlp.models import averaged_weights
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.sample import Sample, trainable_weights


class Histograms(keras.callbacks.Callback):
    """Writes histograms of weights and gradients to `train` at the end of each epoch.

    With averaged weights, they are those of the averaged weights. The gradients are those on `sample`.
    """

    def __init__(self, events: Events, sample: Sample, stopwatch: Stopwatch) -> None:
        super().__init__()
        self._events, self._sample, self._stopwatch = events, sample, stopwatch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        with averaged_weights(self.model):
            weights = trainable_weights(self.model)
        step = self._stopwatch.step
        arrays = {"weights": weights, "weight_gradients": self._sample.at(step).gradients(self.model)}
        values = {
            f"{kind}/{name}": value
            for kind, named in arrays.items()
            for name, value in named.items()
            if value.size
        }
        self._events.write("train", step, histogram, values)


def histogram(tag: str, values: NDArray[Any], description: str) -> Summary:
    """Return the same summary as TensorBoard's `histogram_pb`, in a quarter of the time.

    `histogram_pb` compares each value with each bucket: 6 ms for the handbook's first layer.
    """
    data = values.ravel().astype(float)
    low, high = data.min(), data.max()
    width = (high - low) / DEFAULT_BUCKET_COUNT
    if not width or not np.isfinite(width):
        return histogram_pb(tag, values, description=description)
    buckets = np.minimum(np.floor((data - low) / width).astype(int), DEFAULT_BUCKET_COUNT - 1)
    counts = np.bincount(buckets, minlength=DEFAULT_BUCKET_COUNT)
    edges = np.linspace(low, high, DEFAULT_BUCKET_COUNT + 1)
    content = make_tensor_proto(np.array([edges[:-1], edges[1:], counts]).T, dtype=np.float64)
    metadata = histograms.create_summary_metadata(display_name=None, description=description)
    return Summary(value=[Summary.Value(tag=tag, tensor=content, metadata=metadata)])
