"""A loop with its own optimizer, as most published loops have, agrees if it trains as Keras does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import cases
from kerasmlp import loops
from kerasmlp.comparison.start import Start
from kerasmlp.comparison.tables import notes
from kerasmlp.comparison.trajectory import check_loop
from kerasmlp.comparison.verdict import judge
from kerasmlp.data import Parts
from small_models import compiled_dense


def published(optimizer, *, hooks, training=True, loss=None):
    """A loop as tutorials have it. `optimizer` makes its optimizer, or is one that lives on."""
    loss = loss or keras.losses.SparseCategoricalCrossentropy()

    def loop(model, train, validation, epochs, callbacks):
        own = optimizer() if callable(optimizer) else optimizer
        steps = train.steps_per_epoch
        heard = callbacks if hooks else []
        heard = keras.callbacks.CallbackList(list(heard), model=model, epochs=epochs, steps=steps)

        @tf.function
        def step(x, y):
            with tf.GradientTape() as tape:
                y_pred = model(x, training=training)
                value = loss(y, y_pred)
            gradients = tape.gradient(value, model.trainable_variables)
            own.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            loops.update_metrics(model, value, x, y, y_pred)

        history = {}
        heard.on_train_begin()
        for epoch in range(epochs):
            model.reset_metrics()
            heard.on_epoch_begin(epoch)
            for number, (x, y) in enumerate(train.epoch(epoch)):
                heard.on_train_batch_begin(number)
                step(x, y)
                heard.on_train_batch_end(number)
            for name, value in model.get_metrics_result().items():
                history.setdefault(name, []).append(float(value))
            heard.on_epoch_end(epoch, {name: values[-1] for name, values in history.items()})
        heard.on_train_end()
        return history

    return loop


def with_adam():
    return compiled_dense(adam())


def check(loop, digits, factory=with_adam, labels=None):
    images, classes = digits
    labels = classes if labels is None else labels
    model, reference = factory(), factory()
    data = Parts((images, labels))
    start = Start(factory, data, data, 7, seed=5, are_images=True)
    return check_loop(loop, model, reference, start, epochs=2)


def adam(rate=0.01):
    return lambda: keras.optimizers.Adam(rate)


@pytest.mark.parametrize("hooks", cases((True, False), default=(False,)))
def test_an_own_optimizer_with_the_same_settings_agrees_with_a_note(hooks, digits):
    """So it does without training=True: where there is no dropout, that moves no step."""
    found = check(published(adam(), hooks=hooks, training=hooks), digits)
    outcome = judge("mine", found, None)
    assert (outcome.verdict, outcome.reason) == ("equal", None)
    assert found.has_own_optimizer
    assert found.seen == "12 of 12 steps"
    (note,) = notes([outcome])
    assert note.startswith("mine trains with its own optimizer: model.optimizer is not used")


@pytest.mark.thorough
def test_an_own_optimizer_that_lives_on_between_calls_agrees(digits):
    found = check(published(keras.optimizers.Adam(0.01), hooks=False), digits)
    assert judge("mine", found, None).verdict == "equal"


@pytest.mark.parametrize("hooks", cases((True, False), default=()))
def test_an_own_optimizer_with_another_rate_diverges(hooks, digits):
    """A training=True that is missing changes nothing here: it is no mistake, and never a cause."""
    found = check(published(adam(0.03), hooks=hooks, training=not hooks), digits)
    assert found.divergence.step == 1
    assert found.divergence.cause == (
        "with the loop's own optimizer, another learning rate: 0.03, not 0.01"
        " (certain: it gives the loop's step bit for bit)"
    )


@pytest.mark.thorough
def test_labels_that_are_broadcast_by_a_function_as_loss(digits):
    """Keras aligns labels `[batch]` with predictions `[batch, 1]`; a plain difference broadcasts."""

    def regression():
        keras.utils.set_random_seed(3)
        layers = [keras.layers.Flatten(), keras.layers.Dense(4), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((6, 6, 1)), *layers])
        model.compile(keras.optimizers.SGD(0.01), "mse", metrics=["mae"])
        return model

    def wrong(y, y_pred):
        return tf.reduce_mean(tf.square(y - y_pred))

    def right(y, y_pred):
        return tf.reduce_mean(tf.square(y[:, None] - y_pred))

    labels = np.random.default_rng(0).normal(size=40).astype(np.float32)
    sgd = keras.optimizers.SGD
    found = check(published(lambda: sgd(0.01), hooks=True, loss=right), digits, regression, labels)
    assert found.divergence is None
    found = check(published(lambda: sgd(0.01), hooks=True, loss=wrong), digits, regression, labels)
    assert "labels are broadcast: each prediction is compared with every label" in found.divergence.cause


def test_two_mistakes_that_give_the_same_step_are_both_named(digits):
    """With plain SGD, half the learning rate and half the gradients are the same step."""

    def factory():
        return compiled_dense(lambda: keras.optimizers.SGD(0.5))

    found = check(published(lambda: keras.optimizers.SGD(0.25), hooks=True), digits, factory)
    assert found.divergence.cause == (
        "with the loop's own optimizer, another learning rate: 0.25, not 0.5; or with the loop's own"
        " optimizer, the gradients are 0.5 times the right ones"
        " (each of them gives the loop's step bit for bit)"
    )


def test_an_error_in_the_diagnosis_is_not_the_loops_failure(digits, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("no experiments today")

    monkeypatch.setattr("kerasmlp.comparison.causes.wrong_steps", broken)
    found = check(published(adam(0.03), hooks=True), digits)
    assert judge("mine", found, None).verdict == "diverges"
    assert found.divergence.cause == (
        "unknown, because the diagnosis failed: ZeroDivisionError: no experiments today"
    )
