"""A small model that is trained with all dashboards, for the tests of each."""

from typing import Any, NamedTuple

import keras
import pytest
from keras import layers

from helpers import compiled, events, run
from kerasmlp.callbacks.losses import BatchLosses
from kerasmlp.callbacks.stopwatch import Stopwatch
from kerasmlp.data.batches import Batches
from kerasmlp.data.examples import Examples
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.graph import Graph
from kerasmlp.tensorboard.histograms import Histograms
from kerasmlp.tensorboard.images import Images
from kerasmlp.tensorboard.pr_curves import PRCurves
from kerasmlp.tensorboard.sample import Sample
from kerasmlp.tensorboard.scalars import Scalars
from small_models import average


class Written(NamedTuple):
    """What a training with all dashboards leaves.

    Attributes:
        model: the trained model.
        history: what the loop returned.
        events: the events by sub-run and tag, then by step.
    """

    model: keras.Model
    history: dict[str, list[float]]
    events: dict[tuple[str, str], dict[int, Any]]


@pytest.fixture(scope="session")
def weight_names():
    """The names of the weights of the small model, in order."""
    return [f"{layer}/{kind}" for layer in ("hidden", "head") for kind in ("kernel", "bias")]


@pytest.fixture(scope="session")
def small_model():
    """A function that returns the small model, compiled."""

    def dense():
        return [
            layers.Flatten(),
            layers.Dense(4, name="hidden"),
            layers.Dense(3, name="head"),
            layers.Softmax(),
        ]

    return lambda **compilation: compiled(dense, **compilation)


@pytest.fixture(scope="session")
def write(digits, small_model):
    """A function that trains the small model for two epochs of six steps, with all dashboards.

    It writes to `folder`, with every fourth batch loss.
    """
    images, labels = digits

    def write(folder, loop, **compilation):
        model = small_model(**compilation)
        stopwatch, batch_losses = Stopwatch(7), BatchLosses()
        sample = Examples(images[:20], labels[:20], are_images=True)
        validation = Examples(images, labels, are_images=True)
        files = Events(folder)
        dashboards = [
            Scalars(files, Sample(sample), stopwatch, batch_losses, every=4),
            Graph(files, Batches(*digits, 7).epoch(0).element_spec[0]),
            Histograms(files, Sample(sample), stopwatch),
            Images(files, sample, validation, stopwatch),
            # With `validation` it would use the outputs that `Images` has computed.
            PRCurves(files, Examples(images, labels, are_images=True), stopwatch),
        ]
        history = run(loop, model, digits, callbacks=[stopwatch, batch_losses, *dashboards])
        files.close()
        return Written(model, history, events(folder))

    return write


@pytest.fixture(scope="session", params=[None, average], ids=["weights", "averaged weights"])
def written(write, request, tmp_path_factory):
    """A training of the `fit` loop, without and with an average of the weights."""
    return write(tmp_path_factory.mktemp("written"), "fit", optimizer=request.param)
