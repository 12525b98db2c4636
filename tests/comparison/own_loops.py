"""Loops that are written differently, one with a mistake, and loops that fail."""

import os
import signal
import time

import keras
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.loops import traced
from kerasmlp.loops.step import compute_gradients, train_step, update_metrics


def _with_loss(model, x, y, loss_of):
    """Take a step with the loss `loss_of(y, y_pred)`."""
    with tf.GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = loss_of(y, y_pred)
        if model.losses:
            loss += tf.add_n(model.losses)
        scaled = model.optimizer.scale_loss(loss)
    gradients = tape.gradient(scaled, model.trainable_variables)
    model.optimizer.apply(gradients, model.trainable_variables)
    update_metrics(model, loss, x, y, y_pred)
    return loss


def applied_twice(model, x, y):
    loss, y_pred, gradients = compute_gradients(model, x, y)
    model.optimizer.apply(gradients, model.trainable_variables)
    model.optimizer.apply(gradients, model.trainable_variables)
    update_metrics(model, loss, x, y, y_pred)
    return loss


# Right loops that are written differently.


def halves(model, x, y):
    """The gradient is the sum of the gradients of two halves of the batch."""
    count = tf.shape(x)[0]
    half = count // 2
    parts = []
    for one in (slice(None, half), slice(half, None)):
        _, _, gradients = compute_gradients(model, x[one], y[one])
        share = tf.cast(tf.shape(y[one])[0], tf.float32) / tf.cast(count, tf.float32)
        parts.append([gradient * share for gradient in gradients])
    y_pred = model(x, training=True)
    loss = model.compute_loss(x, y, y_pred)
    gradients = [one + other for one, other in zip(*parts, strict=True)]
    model.optimizer.apply(gradients, model.trainable_variables)
    update_metrics(model, loss, x, y, y_pred)
    return loss


def logarithm(model, x, y):
    """The cross-entropy as a formula: minus the logarithm of the probability of the label."""

    def loss(y, y_pred):
        probability = tf.gather(y_pred, y, batch_dims=1)
        return -tf.reduce_mean(tf.math.log(probability))

    return _with_loss(model, x, y, loss)


def one_hot(model, x, y):
    """Categorical cross-entropy with one-hot labels."""

    def loss(y, y_pred):
        hot = tf.one_hot(y, y_pred.shape[-1])
        return keras.losses.CategoricalCrossentropy()(hot, y_pred)

    return _with_loss(model, x, y, loss)


def by_hand(model, train, validation, epochs, callbacks):
    """A Python loop over the dataset."""
    loops.build(model, train)
    hooks = keras.callbacks.CallbackList(
        callbacks, add_history=True, model=model, epochs=epochs, steps=train.steps_per_epoch
    )
    step = tf.function(lambda x, y: train_step(model, x, y), autograph=False, reduce_retracing=True)
    hooks.on_train_begin()
    for epoch in range(epochs):
        model.reset_metrics()
        hooks.on_epoch_begin(epoch)
        for number, (x, y) in enumerate(train.epoch(epoch)):
            hooks.on_train_batch_begin(number)
            step(x, y)
            hooks.on_train_batch_end(number, model.get_metrics_result())
        logs = {name: float(value) for name, value in model.get_metrics_result().items()}
        hooks.on_epoch_end(epoch, logs)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    hooks.on_train_end(logs)
    return model.history.history


def without_hooks(model, train, validation, epochs, callbacks):
    """A while_loop over the whole epoch. It calls no callbacks."""
    loops.build(model, train)

    @tf.function(autograph=False, reduce_retracing=True)
    def run(iterator, steps):
        def body(step):
            train_step(model, *next(iterator))
            return (step + 1,)

        tf.while_loop(lambda step: step < steps, body, [tf.constant(0)])
        return model.get_metrics_result()

    history = {}
    for epoch in range(epochs):
        model.reset_metrics()
        results = run(iter(train.epoch(epoch)), tf.constant(train.steps_per_epoch))
        for name, value in results.items():
            history.setdefault(name, []).append(float(value))
    model.optimizer.finalize_variable_values(model.trainable_variables)
    return history


RIGHT = {
    "halves": traced(halves),
    "logarithm": traced(logarithm),
    "one_hot": traced(one_hot),
    "by_hand": by_hand,
    "without_hooks": without_hooks,
}


# Loops that fail.


def raises(model, train, validation, epochs, callbacks):
    raise RuntimeError("no such thing")


def hangs(model, train, validation, epochs, callbacks):
    time.sleep(1000)


def dies(model, train, validation, epochs, callbacks):
    os.kill(os.getpid(), signal.SIGKILL)


def returns_nothing(model, train, validation, epochs, callbacks):
    loops.LOOPS["graph"](model, train, validation, epochs, callbacks)


def no_metrics(model, x, y):
    loss, _, gradients = compute_gradients(model, x, y)
    model.optimizer.apply(gradients, model.trainable_variables)
    return loss
