"""The dashboard Images: samples, what the first layer looks for, confusions and mistakes."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.image import metadata as images
from tensorboard.util.tensor_util import make_tensor_proto

from kerasmlp.data import Examples
from kerasmlp.loops import Logs
from kerasmlp.models import averaged_weights
from kerasmlp.tensorboard import pictures
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.weights import trainable_weights

SAMPLES = 25
"""Training images that are shown."""


class Images(keras.callbacks.Callback):
    """What the model is given, what its first layer looks for, what it confuses and mistakes.

    Args:
        events: where they are written, into `train` and `validation`.
        sample: training examples.
        validation: validation examples; None if there are none.
        augment: what is done to images before a step is trained on them; None if nothing is.
    """

    def __init__(
        self,
        events: Events,
        sample: Examples,
        validation: Examples | None,
        augment: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__()
        self._events = events
        self._sample = sample
        self._validation = validation
        self._augment = augment

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self._events.initial_step:
            return  # the run goes on, and has shown them
        images = self._sample.images[:SAMPLES]
        labels = [str(label) for label in self._sample.labels[:SAMPLES]]
        shown = {"images/samples": pictures.captioned(images, labels)}
        if self._augment is not None:
            shown["images/augmented"] = pictures.captioned(np.array(self._augment(images)), labels)
        self._events.write("train", 0, _image, shown)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not is_shown(epoch):
            return
        with averaged_weights(self.model):
            write_first_layer(self._events, "train", self.model, self._sample)
            if self._validation is not None:
                write_errors(self._events, "validation", self.model, self._validation)


def is_shown(epoch: int) -> bool:
    """Return whether images and curves are shown of an epoch, from 0: of the 1st, 2nd, 4th, 8th, ...

    TensorBoard keeps ten images of a tag, and they cost more than an epoch of a small model should.
    """
    number = epoch + 1
    return number & (number - 1) == 0


def write_first_layer(events: Events, sub_run: str, model: keras.Model, examples: Examples) -> None:
    """Show what the units of the first layer look for, if the pixels of `examples` are its inputs."""
    shape = examples.images.shape[1:]
    first = next(iter(trainable_weights(model).values()))
    if first.shape[0] == np.prod(shape):
        picture = pictures.first_layer(first, shape)
        step = int(model.optimizer.iterations)
        events.write(sub_run, step, _image, {"images/first_layer": picture})


def write_errors(events: Events, sub_run: str, model: keras.Model, examples: Examples) -> None:
    """Show which class of `examples` is taken for which, and the most wrong images."""
    probabilities = examples.probabilities(model)
    said, classes = probabilities.argmax(axis=1), probabilities.shape[1]
    matrix = tf.math.confusion_matrix(examples.labels, said, classes).numpy()
    errors = {
        "images/confusion": pictures.confusion(matrix),
        "images/mistakes": pictures.mistakes(examples.images, examples.labels, probabilities),
    }
    events.write(sub_run, int(model.optimizer.iterations), _image, errors)


def _image(tag: str, picture: pictures.Picture, description: str) -> Summary:
    """Return a summary of one picture: TensorBoard's own is made by running TensorFlow."""
    height, width = picture.shape[:2]
    content = make_tensor_proto([str(width).encode(), str(height).encode(), pictures.png(picture)])
    metadata = images.create_summary_metadata(display_name=None, description=description)
    return Summary(value=[Summary.Value(tag=tag, tensor=content, metadata=metadata)])
