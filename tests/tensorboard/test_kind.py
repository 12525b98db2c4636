import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kerasmlp.data.examples import Examples
from kerasmlp.tensorboard import kind

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32)
LOGITS = np.array([[2.0, 0, -1], [0, 1, 5]], np.float32)
ONE = np.array([[0.25], [0.75]], np.float32)
CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


def of(loss, outputs, y, look):
    """What `look` says of a model that has these outputs, trained by `loss` for the targets `y`."""
    model = keras.Sequential([keras.Input(outputs.shape[1:]), layers.Activation("linear")])
    model.compile("sgd", loss)
    return look(model, Examples(outputs, y))


@pytest.mark.parametrize(
    ("loss", "outputs", "y", "labels", "probabilities"),
    [
        ("sparse_categorical_crossentropy", PROBABILITIES, [0, 1], [0, 1], PROBABILITIES),
        (CROSSENTROPY(), PROBABILITIES, [[0], [2]], [0, 2], PROBABILITIES),
        (CROSSENTROPY(from_logits=True), LOGITS, [0.0, 2.0], [0, 2], softmax(LOGITS)),
        ([CROSSENTROPY(from_logits=True)], LOGITS, [0, 2], [0, 2], softmax(LOGITS)),
        ("categorical_crossentropy", PROBABILITIES, [[0, 1, 0], [0, 0, 1]], [1, 2], PROBABILITIES),
        ("mse", PROBABILITIES, [[0.0, 1, 0], [0, 0, 1]], [1, 2], PROBABILITIES),
        (None, PROBABILITIES, [0, 1], [0, 1], PROBABILITIES),
        (None, np.eye(2), [1, 0], [1, 0], np.eye(2)),
        (None, PROBABILITIES + 0.003, [0, 1], [0, 1], PROBABILITIES + 0.003),  # as of half precision
        ("sparse_categorical_crossentropy", PROBABILITIES[:, :2], [0, 1], [0, 1], PROBABILITIES[:, :2]),
        ({"a": CROSSENTROPY(from_logits=True)}, LOGITS, [0, 2], [0, 2], softmax(LOGITS)),
        ("binary_crossentropy", ONE, [[0], [1]], [0, 1], [[0.75, 0.25], [0.25, 0.75]]),
        ("bce", ONE[:, 0], [True, False], [1, 0], [[0.75, 0.25], [0.25, 0.75]]),
        (
            keras.losses.BinaryFocalCrossentropy(from_logits=True),
            np.log(ONE / (1 - ONE)),
            [0, 1],
            [0, 1],
            [[0.75, 0.25], [0.25, 0.75]],
        ),
    ],
)
def test_what_is_classified(loss, outputs, y, labels, probabilities):
    found = of(loss, outputs, np.array(y), kind.classified)
    assert found.labels.tolist() == labels
    assert found.labels.dtype.kind == "i"
    assert found.probabilities == pytest.approx(np.array(probabilities), rel=1e-5)
    assert of(loss, outputs, np.array(y), kind.regressed) is None


@pytest.mark.parametrize(
    ("loss", "outputs", "y"),
    [
        ("mse", ONE, [0.5, 2.0]),
        ("mae", ONE, [[0], [1]]),
        ("huber", ONE[:, 0], [0.5, 2.0]),
        ("mse", LOGITS, LOGITS[::-1]),
        ("mse", LOGITS, [[0.0, 1, 0], [0, 0, 1]]),
        ("mse", PROBABILITIES, [[0.0, 1, 0], [0, 2, 0]]),
        ("mse", PROBABILITIES, [[0.0, 1, 0], [0, 1, 1]]),
        ("mse", PROBABILITIES, [[0.0, 1, 0], [0.5, 0, 1]]),
        ("mse", PROBABILITIES + 0.005, [[0.0, 1, 0], [0, 0, 1]]),  # they sum up to 1.015
        ("mse", LOGITS[:, :2] * 0 + [[1.5, -0.5]], [[0.0, 1], [1, 0]]),  # they sum up to 1
        (None, LOGITS[:, :, None], LOGITS[:, :, None] + 1),
    ],
)
def test_what_is_predicted_as_numbers(loss, outputs, y):
    y = np.array(y)
    found = of(loss, outputs, y, kind.regressed)
    assert found.true.tolist() == y.ravel().tolist()
    assert found.predicted.tolist() == outputs.ravel().tolist()
    assert of(loss, outputs, y, kind.classified) is None


@pytest.mark.parametrize(
    ("loss", "outputs", "y"),
    [
        ("binary_crossentropy", PROBABILITIES, np.eye(3)[:2]),  # several may be true at once
        ("binary_crossentropy", PROBABILITIES, np.array([0, 1])),
        ("binary_crossentropy", ONE, np.eye(2)),
        ("binary_crossentropy", ONE, np.array([0.5, 1])),
        ("binary_crossentropy", ONE, np.array([0, 2])),
        (CROSSENTROPY(), ONE, np.array([0, 0])),
        (CROSSENTROPY(), PROBABILITIES, np.array([0, 3])),
        (CROSSENTROPY(), PROBABILITIES, np.array([0.5, 1])),
        ("mse", LOGITS, np.array([0.5, 1.5])),
        (None, LOGITS, np.array(["a", "b"])),
        ("categorical_crossentropy", PROBABILITIES, PROBABILITIES),
        (CROSSENTROPY(ignore_class=-1), PROBABILITIES, np.array([0, -1])),
        (CROSSENTROPY(), np.stack([PROBABILITIES] * 4, axis=1), np.zeros((2, 4), int)),
        (None, LOGITS, np.array([0, 1])),
        (None, LOGITS, None),
        (None, LOGITS, {"a": LOGITS, "b": LOGITS}),
    ],
    ids=[
        "labels",
        "broadcast",
        "two targets",
        "soft binary",
        "a third label",
        "one class",
        "an unknown label",
        "between labels",
        "other shapes",
        "texts",
        "soft",
        "ignored",
        "sequence",
        "logits of an unknown loss",
        "x alone",
        "two",
    ],
)
def test_what_is_neither(loss, outputs, y):
    assert of(loss, outputs, y, kind.classified) is None
    assert of(loss, outputs, y, kind.regressed) is None


def test_what_a_model_without_call_computes_is_neither():
    class Own(keras.Model):
        def call(self, x):
            raise NotImplementedError

    model = Own()
    model.compile("sgd", "mse")
    assert kind.classified(model, Examples(ONE, ONE)) is None
    assert kind.regressed(model, Examples(ONE, ONE)) is None


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_outputs_of_half_precision_are_shown_in_single_precision(dtype):
    model = keras.Sequential([keras.Input((3,)), layers.Activation("linear", dtype=dtype)])
    model.compile("sgd", CROSSENTROPY())
    found = kind.classified(model, Examples(PROBABILITIES, np.array([0, 1])))
    assert found.probabilities.dtype == np.float32
    assert found.probabilities == pytest.approx(PROBABILITIES, rel=1e-2)


def test_batches_that_cannot_be_joined_are_of_no_kind():
    examples = Examples.of(tf.data.Dataset.from_tensor_slices(tf.ragged.constant([[1], [2, 3]])), 2)
    model = keras.Sequential([keras.Input((None,))])
    model.compile("sgd", "mse")
    assert kind.classified(model, examples) is None and kind.regressed(model, examples) is None


def test_large_outputs_are_of_no_kind(monkeypatch):
    def look(model, examples):
        return kind.classified(model, examples), kind.regressed(model, examples)

    monkeypatch.setattr(kind, "OUTPUT_BYTES", 7)
    assert of("mse", ONE, ONE, look) == (None, None)
    monkeypatch.setattr(kind, "OUTPUT_BYTES", 8)
    assert of("mse", ONE, ONE, look)[1] is not None


BYTES = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (BYTES, BYTES[..., None]),
        (np.stack([BYTES] * 3, axis=-1), np.stack([BYTES] * 3, axis=-1)),
        (BYTES[..., None] / np.float32(255), BYTES[..., None]),
        (BYTES[..., None].astype(np.float32), np.rint(BYTES[..., None] * (255 / 39))),
        (np.array([0.2, 0.6]).reshape(2, 1, 1, 1), np.reshape([51, 153], (2, 1, 1, 1))),
        (np.array([-1.0, 1.0, 0.0]).reshape(3, 1, 1, 1), np.reshape([0, 255, 128], (3, 1, 1, 1))),
    ],
    ids=["grey bytes", "colours", "0 to 1", "0 to 39", "0.2 to 0.6", "-1 to 1"],
)
def test_what_are_images(x, expected):
    found = kind.images(Examples(x))
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((2, 4, 5), np.float32),  # a sequence
        np.zeros((2, 4, 5, 2), np.uint8),
        np.zeros((2, 4, 5, 4), np.uint8),
        np.zeros((0, 4, 5, 1), np.uint8),
        np.full((2, 4, 5, 1), np.nan),
        np.zeros((2, 4, 5, 1), np.int64),
        {"a": BYTES},
        None,
    ],
    ids=["sequence", "two channels", "four channels", "none", "nan", "integers", "dict", "batches"],
)
def test_what_are_no_images(x):
    assert kind.images(Examples(x)) is None
