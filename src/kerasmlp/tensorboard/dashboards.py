"""The dashboards of a training, by their names."""

from collections.abc import Callable
from typing import Any

import keras

from kerasmlp.callbacks import BatchLosses, Stopwatch
from kerasmlp.data import Examples
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.graph import Graph
from kerasmlp.tensorboard.histograms import Histograms
from kerasmlp.tensorboard.images import Images
from kerasmlp.tensorboard.pr_curves import PRCurves
from kerasmlp.tensorboard.sample import Sample
from kerasmlp.tensorboard.scalars import Scalars


def all_dashboards(
    events: Events,
    sample: Examples,
    validation: Examples | None,
    inputs: Any,
    stopwatch: Stopwatch,
    batch_losses: BatchLosses,
    augment: Callable[[Any], Any] | None = None,
) -> dict[str, keras.callbacks.Callback]:
    """Return the callbacks that write for TensorBoard, by the name of their dashboard.

    They are the same for every compiled model. Scalars, graph and histograms are written for all.
    Pictures and curves depend on what the model predicts, see `kind`: `images` and `pr_curves` write
    what fits, or nothing. A model with several outputs has none of them.

    Args:
        sample: training examples, to evaluate the model on after each epoch.
        validation: validation examples. None for no validation.
        inputs: the specification of a batch of inputs, in the structure that the model takes.
        stopwatch, batch_losses: callbacks that come before these in the list of callbacks.
        augment: distorts inputs as before a train step. None for no augmentation.
    """
    evaluated = Sample(sample)
    return {
        "scalars": Scalars(events, evaluated, stopwatch, batch_losses),
        "graphs": Graph(events, inputs),
        "histograms": Histograms(events, evaluated, stopwatch),
        "images": Images(events, sample, validation, stopwatch, augment),
        "pr_curves": PRCurves(events, validation, stopwatch),
    }
