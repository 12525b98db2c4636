"""The `fit` loop: Keras' own `model.fit`, over the batches of this project and with its program."""

import keras
import tensorflow as tf

from kerasmlp.loops.callback_list import CallbackList
from kerasmlp.loops.interface import History, ResumableLoop, Training, build_metrics
from kerasmlp.loops.program import make_program, train_function


@ResumableLoop
def fit(training: Training) -> History:
    """Train with Keras' own `model.fit`."""
    model, train = training.model, training.train
    # Keras opens the dataset more than once an epoch. So the dataset must not count how often it is
    # opened: it reads the number of the epoch from this variable.
    epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
    follow = keras.callbacks.LambdaCallback(on_epoch_begin=lambda number, logs: epoch.assign(number))
    callbacks = CallbackList(training, first=follow)
    options = {
        "validation_data": training.validation,
        "initial_epoch": training.initial_epoch,
        "epochs": training.epochs,
        "callbacks": callbacks,
        "shuffle": False,
        "verbose": 0,
    }
    program = make_program(training, lambda model, *batch: model.train_step(batch))
    if program is not None:
        options["steps_per_epoch"] = train.steps_per_epoch
        with train_function(model, callbacks.skipping(program, by_batches=False)):
            return model.fit(program.groups, **options).history
    if training.initial_step_in_epoch:
        # Keras' own function, but over batches that start in the middle of an epoch.
        build_metrics(model, train)
        model.make_train_function()
        with train_function(model, callbacks.skipping(model.train_function, by_batches=True)):
            return model.fit(train.epoch(epoch), **options).history
    return model.fit(train.epoch(epoch), **options).history
