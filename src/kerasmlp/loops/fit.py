"""The `fit` loop: Keras' own `model.fit`, over the batches of this project and with its program."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.keras_internals import is_of_a_strategy
from kerasmlp.loops.callback_list import CallbackList
from kerasmlp.loops.interface import History, ResumableLoop, Training, build_metrics
from kerasmlp.loops.step import Logs
from kerasmlp.loops.train_function import KERAS_STEP, keras_steps, train_functions


@ResumableLoop
def fit(training: Training) -> History:
    """Train with Keras' own `model.fit`."""
    model, train, frequency = training.model, training.train, training.validation_freq
    callbacks = CallbackList(training)
    if training.initial_step_in_epoch:
        build_metrics(model, train)
    with train_functions(training, callbacks, lambda note: keras_steps(model, note), _own_step):
        return model.fit(
            _counted(training),
            validation_data=training.validation,
            validation_freq=list(frequency) if isinstance(frequency, Sequence) else frequency,
            initial_epoch=training.initial_epoch,
            epochs=training.epochs,
            steps_per_epoch=train.steps_per_epoch,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        ).history


def _counted(training: Training) -> tf.data.Dataset:
    """Return a dataset for Keras to count the steps with. The train function reads the batches itself.

    Only a model that was made under a strategy is built with its first batch.
    """
    train = training.train
    if is_of_a_strategy(training.model):
        return train.epoch(training.initial_epoch)
    return tf.data.Dataset.range(train.steps_per_epoch)


def _own_step(model: keras.Model, *batch: Any) -> Logs:
    with tf.name_scope(KERAS_STEP):
        return model.train_step(keras.utils.pack_x_y_sample_weight(*batch))
