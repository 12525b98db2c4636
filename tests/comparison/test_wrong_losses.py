"""Each known mistake in the loss is the step that somebody takes who makes it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kinds
from evidence import Scene, assert_close, assert_differs
from kerasmlp.comparison import wrong_losses
from kerasmlp.comparison.wrong_losses import (
    _broadcast,
    _data_loss,
    _FunctionLoss,
    _loss,
    _loss_weights,
    with_other_losses,
)
from mistakes import one_hot, weighted

SOFTMAX_TWICE = "softmax or sigmoid is taken twice: from_logits=True on probabilities"
NO_LOGITS = "logits are taken for probabilities: from_logits=True is missing"


def entropy(y, y_pred):
    """The cross-entropy of each example, from probabilities."""
    return -tf.math.log(tf.gather(y_pred, y, batch_dims=1))


def check(scene, expected):
    """The possible mistakes are those in `expected`, and lead to its states."""
    found = scene.all_after(with_other_losses(scene.evidence()))
    assert found.keys() == expected.keys()
    for name, states in found.items():
        for state in states:
            assert_close(state, expected[name])
    return found


def test_a_model_with_dropout_and_penalties():
    scene = Scene(kinds.dense)

    def of(loss=lambda *of: tf.reduce_mean(entropy(*of)), penalties=1.0, **options):
        def whole(y, y_pred, weight):
            return loss(y, y_pred) + penalties * sum(scene.model.losses)

        return scene.trained(whole, **options)

    def broadcast(y, y_pred):
        return tf.reduce_mean(-tf.math.log(tf.gather(y_pred, y, axis=1)))

    def twice(y, y_pred):
        return tf.reduce_mean(entropy(y, tf.nn.softmax(y_pred)))

    found = check(
        scene,
        {
            "training=True is missing in the call of the model": of(training=False),
            "regularisation losses are left out": of(penalties=0.0),
            "regularisation losses are added twice": of(penalties=2.0),
            "training=True is missing, and regularisation losses are left out": of(
                penalties=0.0, training=False
            ),
            "the loss is the sum over the batch, not the mean": of(
                lambda y, y_pred: tf.reduce_sum(entropy(y, y_pred))
            ),
            "the loss is the sum over the batch, with regularisation losses": of(
                change=lambda gradients: [8 * each for each in gradients]
            ),
            "labels are broadcast: each prediction is compared with every label": of(broadcast),
            SOFTMAX_TWICE: of(twice),
        },
    )
    for states in found.values():
        for state in states:
            assert_differs(state, scene.expected)


def test_a_model_that_ends_in_logits_with_weights_of_examples():
    scene = Scene(kinds.plain, weighted(kinds.plain))

    def losses(y, y_pred, weight):
        return entropy(y, tf.nn.softmax(y_pred)) * weight

    def by_the_weights(*of):
        return tf.reduce_sum(losses(*of)) / tf.reduce_sum(of[-1])

    def as_probabilities(y, y_pred, weight):
        p = tf.clip_by_value(y_pred, 1e-7, 1 - 1e-7)
        return tf.reduce_mean(entropy(y, p / tf.reduce_sum(p, axis=1, keepdims=True)) * weight)

    def broadcast(y, y_pred, weight):
        return tf.reduce_mean(-tf.math.log(tf.gather(tf.nn.softmax(y_pred), y, axis=1)))

    summed = scene.trained(lambda *of: tf.reduce_sum(losses(*of)))
    check(
        scene,
        {
            "training=True is missing in the call of the model": scene.expected,  # no layer minds
            "regularisation losses are left out": scene.expected,  # there are none
            "regularisation losses are added twice": scene.expected,
            "training=True is missing, and regularisation losses are left out": scene.expected,
            "the loss is the sum over the batch, not the mean": summed,
            "the loss is the sum over the batch, with regularisation losses": summed,
            "the loss is divided by the sum of the sample weights, not by the number of examples": (
                scene.trained(by_the_weights)
            ),
            "labels are broadcast: each prediction is compared with every label": (
                scene.trained(broadcast)
            ),
            NO_LOGITS: scene.trained(as_probabilities),
        },
    )


@pytest.mark.parametrize("as_function", [True, False])
def test_smoothed_labels(as_function):
    def smooth():
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
        if as_function:
            return kinds.plain(
                loss=lambda y, y_pred, label_smoothing=0.2: keras.losses.categorical_crossentropy(
                    y, y_pred, from_logits=True, label_smoothing=label_smoothing
                )
            )
        return kinds.plain(loss=loss)

    scene = Scene(smooth, tuple(one_hot()))
    found = scene.all_after(with_other_losses(scene.evidence()))
    plain = scene.trained(
        lambda y, y_pred, weight: (
            -tf.reduce_mean(tf.reduce_sum(tf.cast(y, "float32") * tf.nn.log_softmax(y_pred), axis=1))
        )
    )
    (without,) = found["label smoothing is left out"]
    assert_close(without, plain)
    assert_differs(without, scene.expected)
    assert (NO_LOGITS in found) == (not as_function)  # the function has no such option


def test_a_function_as_loss_gets_labels_of_the_rank_of_the_predictions():
    """As by Keras: labels `[batch]` and predictions `[batch, 1]`, and the other way round."""

    def halved(y, y_pred, from_logits=False):
        assert y.shape.rank == y_pred.shape.rank
        return tf.reduce_mean(tf.square(y - y_pred), axis=-1) / (2.0 if from_logits else 1.0)

    def regression():
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), halved)
        return model

    x, y = kinds.data_of(kinds.plain)
    scene = Scene(regression, (x, y.astype("float32")))
    found = scene.all_after(with_other_losses(scene.evidence()))
    (state,) = found[SOFTMAX_TWICE]
    half = scene.trained(lambda y, y_pred, weight: tf.reduce_mean(tf.square(y - y_pred[:, 0])) / 2)
    assert_close(state, half)


def test_two_outputs_with_weights():
    scene = Scene(kinds.two)

    def of(kind=1.0, size=0.3, softmax=False):
        def loss(y, y_pred, weight):
            p = tf.nn.softmax(y_pred["kind"]) if softmax else y_pred["kind"]
            squares = tf.square(y["size"] - y_pred["size"])
            return kind * tf.reduce_mean(entropy(y["kind"], p)) + size * tf.reduce_mean(squares)

        return scene.trained(loss)

    found = scene.all_after(with_other_losses(scene.evidence()))
    expected = {
        "loss weights are left out": of(size=1.0),
        "the loss of the output kind is left out": of(kind=0.0),
        "the loss of the output size is left out": of(size=0.0),
        f"{SOFTMAX_TWICE} (output kind)": of(softmax=True),
    }
    for name, state in expected.items():
        (received,) = found[name]
        assert_close(received, state)
        assert_differs(received, scene.expected)
    assert not any("(output size)" in name for name in found)  # the squares have no such option


def test_outputs_in_a_list_are_known_by_their_number():
    def listed():
        x = inputs = keras.Input((6,))
        outputs = [keras.layers.Dense(3, "softmax")(x), keras.layers.Dense(3, "softmax")(x)]
        model = keras.Model(inputs, outputs)
        loss = "sparse_categorical_crossentropy"
        model.compile(keras.optimizers.SGD(0.1), [loss, loss], loss_weights=[1.0, 2.0])
        return model

    x, y = kinds.data_of(kinds.plain)
    scene = Scene(listed, (x, [y, y]))
    found = scene.all_after(with_other_losses(scene.evidence()))

    def of(first, second):
        return scene.trained(
            lambda y, y_pred, weight: (
                first * tf.reduce_mean(entropy(y[0], y_pred[0]))
                + second * tf.reduce_mean(entropy(y[1], y_pred[1]))
            )
        )

    for name, state in {
        "loss weights are left out": of(1.0, 1.0),
        "the loss of the output 0 is left out": of(0.0, 2.0),
        "the loss of the output 1 is left out": of(1.0, 0.0),
    }.items():
        (received,) = found[name]
        assert_close(received, state)
    assert {f"{SOFTMAX_TWICE} (output 0)", f"{SOFTMAX_TWICE} (output 1)"} <= found.keys()
    assert np.isfinite(scene.expected[0]).all()


@pytest.mark.parametrize(
    "given, weights",
    [
        (None, {"kind": 1.0, "size": 1.0}),
        ({"size": 0.3}, {"kind": 1.0, "size": 0.3}),
        ({"kind": 2.0, "size": 0.3}, {"kind": 2.0, "size": 0.3}),
    ],
)
def test_an_output_without_a_weight_counts_once(given, weights):
    model = kinds.two()
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    model.compile("sgd", losses, loss_weights=given)
    assert _loss_weights(model) == weights
    assert _loss_weights(kinds.plain()) == {None: 1.0}


@pytest.mark.parametrize(
    "labels, predictions, aligned",
    [
        ((4,), (4, 1), (4, 1)),
        ((4, 1), (4, 3), (4,)),
        ((4, 1), (4, 1), (4, 1)),
        ((4,), (4, 3), (4,)),
        ((4, 3), (4, 3), (4, 3)),
        ((4,), (4,), (4,)),
        ((4, 2), (4, 2, 1), (4, 2, 1)),
        ((4,), (4, 2, 1), (4,)),
        ((4, 2, 1), (4, 3), (4, 2, 1)),
    ],
)
def test_labels_are_aligned_with_predictions_as_by_keras(labels, predictions, aligned):
    loss = _FunctionLoss(lambda y, y_pred: (y.shape, y_pred.shape))
    assert loss.call(tf.zeros(labels), tf.zeros(predictions)) == (aligned, predictions)


def test_an_option_of_a_loss_is_another_one():
    crossentropy = keras.losses.CategoricalCrossentropy(label_smoothing=0.2)
    y, y_pred = tf.constant([[0.0, 1.0]]), tf.constant([[0.25, 0.75]])
    plain = _loss(crossentropy, {"label_smoothing": 0.0})
    assert float(plain(y, y_pred, None)) == pytest.approx(-np.log(0.75))
    assert float(_loss(crossentropy, {})(y, y_pred, None)) > -np.log(0.75)
    of_logits = _loss("categorical_crossentropy", {"from_logits": True})
    assert float(of_logits(y, y_pred, None)) == pytest.approx(np.log(1 + np.exp(-0.5)))
    for loss, options in (
        (crossentropy, {"label_smoothing": 0.2}),
        ("categorical_crossentropy", {"from_logits": False}),
    ):
        with pytest.raises(ValueError, match="the loss of the model is this one"):
            _loss(loss, options)


def test_labels_that_are_broadcast_meet_each_prediction(monkeypatch):
    monkeypatch.setattr(wrong_losses, "_data_loss", lambda model, *of: of)
    y, y_pred = tf.constant([[1, 2], [3, 4]]), tf.constant([[5.0, 6.0], [7.0, 8.0]])
    labels, predictions, weight = _broadcast(None, y, y_pred, "weight")
    assert np.array_equal(labels, [[1, 2], [1, 2], [3, 4], [3, 4]])
    assert np.array_equal(predictions, [[5, 6], [7, 8], [5, 6], [7, 8]])
    assert weight is None


def test_the_loss_of_a_class_hears_that_it_is_for_training():
    class Listens(keras.Sequential):
        def compute_loss(self, x, y, y_pred, sample_weight, training):
            return x, y, y_pred, sample_weight, training, self.losses

    assert _data_loss(Listens(), "y", "y_pred", "weight") == (None, "y", "y_pred", "weight", True, ())
