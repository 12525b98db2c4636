"""The dashboard Images: training images, first layer, confusion matrix, mistakes, predicted numbers."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.image import metadata as images
from tensorboard.util.tensor_util import make_tensor_proto

from kerasmlp.callbacks import Stopwatch
from kerasmlp.data import Examples
from kerasmlp.loops import Logs
from kerasmlp.models import averaged_weights
from kerasmlp.tensorboard import kind, pictures
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.histograms import histogram

SAMPLES = pictures.MISTAKES
"""The number of training images to show."""


class Images(keras.callbacks.Callback):
    """Writes training images and the first layer to `train`, confusions and mistakes to `validation`.

    If the model predicts numbers, it writes them and their residuals to `validation`. What does not fit
    the examples (see `kind`) is left out. With averaged weights, all but the training images are those
    of the averaged weights.

    Args:
        validation: validation examples. None for no validation.
        augment: distorts images as before a train step. None for no augmentation.
    """

    def __init__(
        self,
        events: Events,
        sample: Examples,
        validation: Examples | None,
        stopwatch: Stopwatch,
        augment: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__()
        self._events, self._stopwatch, self._augment = events, stopwatch, augment
        self._sample, self._validation = sample, validation

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self._events.initial_step:
            return  # a resumed run has written them before
        sample = self._sample.first(SAMPLES)
        images, found = kind.images(sample), kind.classified(self.model, sample)
        if images is None or found is None:
            return
        labels = [str(label) for label in found.labels]
        shown = {"pictures/samples": pictures.captioned(images, labels)}
        if self._augment is not None:
            augmented = kind.images(Examples(np.array(self._augment(sample.x))))
            if augmented is not None:
                shown["pictures/augmented"] = pictures.captioned(augmented, labels)
        self._events.write("train", 0, _image, shown)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not is_shown(epoch):
            return
        step = self._stopwatch.step
        with averaged_weights(self.model):
            write_first_layer(self._events, "train", step, self.model, self._sample)
            if self._validation is not None:
                examples = self._validation.at(step)
                write_errors(self._events, "validation", step, self.model, examples)


def is_shown(epoch: int) -> bool:
    """Return whether to write images and curves after `epoch`: only after the 1st, 2nd, 4th, 8th, ...

    `epoch` counts from 0. TensorBoard keeps only ten images of a tag. For a small model, writing them
    after each epoch would take too long.
    """
    return (epoch + 1).bit_count() == 1


def write_first_layer(
    events: Events,
    sub_run: str,
    step: int,
    model: keras.Model,
    examples: Examples,
    group: str = "pictures",
) -> None:
    """Write the weights of the first layer as images, if its inputs are the pixels of `examples`.

    The name of the tag begins with `group`.
    """
    images, variables = kind.images(examples.first(1)), model.trainable_variables
    if images is None or not variables:
        return
    shape, kernel = images.shape[1:], variables[0].numpy()
    if kernel.ndim == 2 and len(kernel) == np.prod(shape):
        picture = {f"{group}/first_layer": pictures.first_layer(kernel, shape)}
        events.write(sub_run, step, _image, picture)


def write_errors(
    events: Events,
    sub_run: str,
    step: int,
    model: keras.Model,
    examples: Examples,
    group: str = "pictures",
) -> None:
    """Write how far `model` is off on `examples`, by what it predicts.

    Classes: the confusion matrix, unless there are more than `kind.CLASSES`; and the most wrong
    images, if the inputs are images. Numbers: the predicted against the true ones, and the residuals.
    The names of the tags begin with `group`.
    """
    errors = {}
    if (found := kind.classified(model, examples)) is not None:
        labels, probabilities = found
        classes = probabilities.shape[1]
        if classes <= kind.CLASSES:
            matrix = tf.math.confusion_matrix(labels, probabilities.argmax(axis=1), classes)
            errors[f"{group}/confusion"] = pictures.confusion(matrix.numpy())
        if (images := kind.images(examples)) is not None:
            errors[f"{group}/mistakes"] = pictures.mistakes(images, labels, probabilities)
    elif (numbers := kind.regressed(model, examples)) is not None:
        true, predicted = numbers
        errors[f"{group}/predictions"] = pictures.predictions(true, predicted)
        events.write(sub_run, step, histogram, {f"{group}/residuals": predicted - true})
    if errors:
        events.write(sub_run, step, _image, errors)


def _image(tag: str, picture: pictures.Picture, description: str) -> Summary:
    """Return the summary of a picture. TensorBoard's own function would run TensorFlow."""
    height, width = picture.shape[:2]
    content = make_tensor_proto([str(width).encode(), str(height).encode(), pictures.png(picture)])
    metadata = images.create_summary_metadata(display_name=None, description=description)
    return Summary(value=[Summary.Value(tag=tag, tensor=content, metadata=metadata)])
