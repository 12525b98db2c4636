"""Loops with one mistake each, right loops that are written differently, and loops that fail."""

import os
import signal
import time

import keras
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.loops import traced
from kerasmlp.loops.step import compute_gradients, train_step, update_metrics


def _with_loss(model, x, y, loss_of, training=True, penalties=True):
    """Take a step with the loss `loss_of(y, y_pred)`."""
    with tf.GradientTape() as tape:
        y_pred = model(x, training=training)
        loss = loss_of(y, y_pred)
        if penalties and model.losses:
            loss += tf.add_n(model.losses)
        scaled = model.optimizer.scale_loss(loss)
    gradients = tape.gradient(scaled, model.trainable_variables)
    model.optimizer.apply(gradients, model.trainable_variables)
    update_metrics(model, loss, x, y, y_pred)
    return loss


def _cross_entropy(**options):
    return keras.losses.SparseCategoricalCrossentropy(**options)


def no_training_flag(model, x, y):
    return _with_loss(model, x, y, _cross_entropy(), training=False)


def no_regularisation(model, x, y):
    return _with_loss(model, x, y, _cross_entropy(), penalties=False)


def summed(model, x, y):
    return _with_loss(model, x, y, _cross_entropy(reduction="sum"))


def broadcast(model, x, y):
    """The labels are a column, so each prediction is compared with every label."""

    def loss(y, y_pred):
        scores = tf.gather(-tf.math.log(y_pred), y, axis=1)
        return tf.reduce_mean(scores)

    return _with_loss(model, x, y, loss)


def twice_softmax(model, x, y):
    def loss(y, y_pred):
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, y_pred))

    return _with_loss(model, x, y, loss)


def applied_twice(model, x, y):
    loss, y_pred, gradients = compute_gradients(model, x, y)
    model.optimizer.apply(gradients, model.trainable_variables)
    model.optimizer.apply(gradients, model.trainable_variables)
    update_metrics(model, loss, x, y, y_pred)
    return loss


def not_unscaled(model, x, y):
    loss, y_pred, gradients = compute_gradients(model, x, y)
    model.optimizer.inner_optimizer.apply(gradients, model.trainable_variables)
    update_metrics(model, loss, x, y, y_pred)
    return loss


def frozen_bias(model, x, y):
    loss, y_pred, gradients = compute_gradients(model, x, y)
    bias = model.trainable_variables[-1]
    before = tf.identity(bias.value)
    model.optimizer.apply(gradients, model.trainable_variables)
    bias.assign(before)
    update_metrics(model, loss, x, y, y_pred)
    return loss


def halved(model, x, y):
    """The gradients are averaged twice over two replicas."""
    loss, y_pred, gradients = compute_gradients(model, x, y)
    model.optimizer.apply([gradient / 2 for gradient in gradients], model.trainable_variables)
    update_metrics(model, loss, x, y, y_pred)
    return loss


def another_learning_rate(model, train, validation, epochs, callbacks):
    model.optimizer.learning_rate = 0.002
    return loops.LOOPS["graph"](model, train, validation, epochs, callbacks)


def another_epsilon(model, train, validation, epochs, callbacks):
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    inner.epsilon = 1e-5
    return loops.LOOPS["graph"](model, train, validation, epochs, callbacks)


def own_optimizer(model, train, validation, epochs, callbacks):
    optimizer = keras.optimizers.Adam(0.002)
    optimizer.build(model.trainable_variables)

    def step(model, x, y):
        loss, y_pred, gradients = compute_gradients(model, x, y)
        optimizer.apply(gradients, model.trainable_variables)
        update_metrics(model, loss, x, y, y_pred)
        return loss

    return traced(step)(model, train, validation, epochs, callbacks)


def hand_written(
    model, train, epochs, callbacks, *, order=None, partial=True, reset=True, end=True, logs=None
):
    """A whole loop; what a user may forget is an option."""
    loops.build(model, train)
    hooks = keras.callbacks.CallbackList(
        callbacks, add_history=True, model=model, epochs=epochs, steps=train.steps_per_epoch
    )
    step = tf.function(lambda x, y: train_step(model, x, y), autograph=False, reduce_retracing=True)
    hooks.on_train_begin()
    for epoch in range(epochs):
        if reset:
            model.reset_metrics()
        hooks.on_epoch_begin(epoch)
        results = []
        for number, (x, y) in enumerate(train.epoch(epoch if order is None else order(epoch))):
            if not partial and len(y) < train.batch_size:
                continue
            hooks.on_train_batch_begin(number)
            if logs is not None:
                model.reset_metrics()
            step(x, y)
            results.append({name: float(value) for name, value in model.get_metrics_result().items()})
            hooks.on_train_batch_end(number, results[-1])
        epoch_logs = results[-1] if logs is None else logs(results)
        hooks.on_epoch_end(epoch, epoch_logs)
    if end:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    hooks.on_train_end(epoch_logs)
    return model.history.history


def same_order_each_epoch(model, train, validation, epochs, callbacks):
    return hand_written(model, train, epochs, callbacks, order=lambda epoch: 0)


def partial_batch_dropped(model, train, validation, epochs, callbacks):
    return hand_written(model, train, epochs, callbacks, partial=False)


def metrics_not_reset(model, train, validation, epochs, callbacks):
    model.reset_metrics()
    return hand_written(model, train, epochs, callbacks, reset=False)


def mean_of_means(model, train, validation, epochs, callbacks):
    def mean(results):
        return {name: sum(each[name] for each in results) / len(results) for name in results[0]}

    return hand_written(model, train, epochs, callbacks, logs=mean)


def ema_not_finalised(model, train, validation, epochs, callbacks):
    return hand_written(model, train, epochs, callbacks, end=False)


def reinitialised(model, train, validation, epochs, callbacks):
    for variable in model.trainable_variables:
        variable.assign(variable + 0.01)
    return loops.LOOPS["graph"](model, train, validation, epochs, callbacks)


FAULTS = {
    no_training_flag: "training=True is missing",
    no_regularisation: "regularisation losses are left out",
    summed: "the loss is the sum over the batch",
    broadcast: "labels are broadcast",
    twice_softmax: "softmax is taken twice",
    applied_twice: "each update is applied twice",
    frozen_bias: "not trained",
    halved: "the gradients are 0.5 times",
    another_learning_rate: "another learning rate: 0.002, not 0.001",
    another_epsilon: "another epsilon of the optimizer: 1e-05, not 1e-07",
    own_optimizer: "with the loop's own optimizer, another learning rate: 0.002, not 0.001",
    same_order_each_epoch: "another order of the batches",
    partial_batch_dropped: "partial batch of the epoch is dropped",
    metrics_not_reset: "metrics are not reset",
    mean_of_means: "weighted wrongly",
    ema_not_finalised: "EMA is not finalised",
    reinitialised: "the loop changes the state outside its steps",
    not_unscaled: "gradients are not unscaled under mixed precision",
}
"""Each mistake, and a part of its expected cause."""


def first_wrong_step(fault, epoch):
    """The number of the first wrong step, from 1, in two epochs of `epoch` steps."""
    later = {
        same_order_each_epoch: epoch + 1,
        partial_batch_dropped: epoch,
        mean_of_means: epoch,
        metrics_not_reset: 2 * epoch,
        ema_not_finalised: 2 * epoch,
    }
    return later.get(fault, 1)


# The mistakes that are train steps.
STEPS = [no_training_flag, no_regularisation, summed, broadcast, twice_softmax, applied_twice]
STEPS += [frozen_bias, halved, not_unscaled]


def as_loop(fault):
    return traced(fault) if fault in STEPS else fault


# Right loops that are written differently.


def minimise(model, x, y):
    """The step with apply_gradients, and the loss as a function without arguments."""

    def loss():
        return model.compute_loss(x, y, model(x, training=True))

    with tf.GradientTape() as tape:
        value = loss()
        scaled = model.optimizer.scale_loss(value)
    variables = model.trainable_weights
    model.optimizer.apply_gradients(zip(tape.gradient(scaled, variables), variables, strict=True))
    model.metrics[0].update_state(value, sample_weight=len(x) if x.shape[0] else tf.shape(x)[0])
    model.compute_metrics(x, y, model(x, training=False))
    return value


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
    return hand_written(model, train, epochs, callbacks)


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


def one_epoch(model, train, validation, epochs, callbacks):
    return loops.LOOPS["graph"](model, train, validation, 1, callbacks)


def no_metrics(model, x, y):
    loss, _, gradients = compute_gradients(model, x, y)
    model.optimizer.apply(gradients, model.trainable_variables)
    return loss
