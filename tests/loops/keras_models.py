"""Models of many kinds with their data, and what Keras' own `fit` makes of them."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from helpers import state
from kerasmlp.data import Batches
from small_models import Recorder

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(17, 4)).astype("float32")
Y = RANDOM.normal(size=(17, 2)).astype("float32")
WEIGHTS = RANDOM.random(17).astype("float32")


def batches(y=Y, sample_weight=None, x=X):
    """Three batches an epoch, the last one of 3 examples."""
    return Batches(x, y, 7, seed=5, sample_weight=sample_weight, are_images=False)


def dense():
    return keras.Sequential([keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(2)])


def regulated():
    hidden = layers.Dense(8, use_bias=False), layers.BatchNormalization(), layers.Dropout(0.5, seed=1)
    return keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(2)])


def frozen():
    model = dense()
    model.layers[0].trainable = False
    return model


def two_sided():
    first, second = keras.Input((4,), name="first"), keras.Input((4,), name="second")
    both = layers.Dense(5, activation="tanh")(layers.Concatenate()([first, second]))
    outputs = {"one": layers.Dense(2, name="one")(both), "other": layers.Dense(2, name="other")(both)}
    return keras.Model({"first": first, "second": second}, outputs)


@keras.saving.register_keras_serializable()
class OwnStep(keras.Sequential):
    """Doubles the learning step, and reports what no metric has."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply([2 * each for each in gradients], self.trainable_variables)
        return {"of the batch": loss, "largest": tf.reduce_max(tf.abs(gradients[0]))}

    def test_step(self, data):
        return {"of the batch": self.compute_loss(*data, self(data[0], training=False))}


class OwnLossMetric(keras.Sequential):
    """As in the docstring of Keras' `compute_loss`, without its `metrics`."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.tracker = keras.metrics.Mean(name="loss")

    def compute_loss(self, x, y, y_pred, sample_weight=None):  # and without `training`
        loss = tf.reduce_mean((y_pred - y) ** 2)
        self.tracker.update_state(loss)
        return loss


class OnlyOwnMetric(OwnLossMetric):
    """The docstring in full."""

    def reset_metrics(self):
        self.tracker.reset_state()

    @property
    def metrics(self):
        return [self.tracker]


class MoreMetrics(keras.Sequential):
    """Adds to what the metrics say."""

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        results = super().compute_metrics(x, y, y_pred, sample_weight)
        return {**results, "spread": tf.math.reduce_std(y_pred)}


def of_class(kind):
    return lambda: kind([keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(2)])


BOTH = {"first": X, "second": X[::-1].copy()}
TWO_TARGETS = {"one": Y, "other": Y**2}
TWO_WEIGHTS = {"one": WEIGHTS, "other": WEIGHTS**2}
KINDS = {
    "dense": (dense, batches()),
    "batch normalisation, dropout": (regulated, batches()),
    "two inputs and outputs, weights": (two_sided, batches(TWO_TARGETS, TWO_WEIGHTS, BOTH)),
    "own train_step": (of_class(OwnStep), batches()),
    "own metric loss": (of_class(OwnLossMetric), batches()),
    "no metric but its own": (of_class(OnlyOwnMetric), batches()),
    "own compute_metrics": (of_class(MoreMetrics), batches()),
    "frozen": (frozen, batches()),
}


def made(make, **compilation):
    keras.utils.set_random_seed(3)
    model = make()
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    options = {"optimizer": optimizer, "loss": "mse", "jit_compile": False}
    if not isinstance(model, OwnStep | OnlyOwnMetric):
        several = len(getattr(model, "output_names", ())) > 1
        options["weighted_metrics"] = (
            {name: ["mae"] for name in model.output_names} if several else ["mae"]
        )
    model.compile(**{**options, **compilation})
    return model


def trained_by_keras(model, train, callbacks=(), epochs=2, **options):
    """Train with nothing of ours but the batches. Return the history, what is heard, the final state."""
    epoch, recorder = tf.Variable(0, dtype=tf.int64), Recorder()
    follow = keras.callbacks.LambdaCallback(on_epoch_begin=lambda number, logs: epoch.assign(number))
    callbacks = [follow, *callbacks, recorder]
    options = {"shuffle": False, "verbose": 0, "epochs": epochs, "callbacks": callbacks, **options}
    history = model.fit(train.epoch(epoch), **options).history
    return history, recorder.heard, weights(model), recorder.params


def trained(loop, model, train, callbacks=(), epochs=2, validation=None, **options):
    """Train with a loop. Return the same."""
    recorder = Recorder()
    history = loop(model, train, validation, epochs, [*callbacks, recorder], **options)
    return history, recorder.heard, weights(model), recorder.params


def weights(model):
    return state(model) if model.optimizer else [each.numpy() for each in model.variables]
