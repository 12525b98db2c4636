"""The five kinds of model that the corpus of programs and mistakes is written for, with their data."""

import keras
import numpy as np
from keras import layers

EXAMPLES = 44
BATCH_SIZE = 8
"""Five full batches and a partial one of 4 examples: 6 steps an epoch."""
VOCABULARY = 20


def dense(optimizer=None, loss="sparse_categorical_crossentropy", **compiled):
    """Dense layers with dropout and L2; ends in probabilities."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, "relu", kernel_regularizer=keras.regularizers.L2(0.05)),
            layers.Dropout(0.3, seed=1),
            layers.Dense(3, "softmax"),
        ]
    )
    model.compile(optimizer or keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], **compiled)
    return model


def plain(optimizer=None, loss=None, **compiled):
    """Dense layers without anything random or hidden; ends in logits."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, "tanh"), layers.Dense(3)])
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, metrics=["accuracy"], **compiled)
    return model


def convolution(optimizer=None, **compiled):
    """Convolution, batch normalisation and dropout."""
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(0.3, seed=1)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, layers.Dense(3)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], **compiled)
    return model


def recurrent(optimizer=None, **compiled):
    """Token ids, 0 is padding: `Embedding` with a mask, and an LSTM. Binary labels."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((7,), dtype="int32"),
            layers.Embedding(VOCABULARY, 5, mask_zero=True),
            layers.LSTM(6),
            layers.Dense(1, "sigmoid"),
        ]
    )
    optimizer = optimizer or keras.optimizers.Adam(0.01)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"], **compiled)
    return model


class Subclass(keras.Model):
    """A subclassed model whose variables are made when it is first called."""

    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(8, "relu")
        self.norm = layers.BatchNormalization()
        self.drop = layers.Dropout(0.2, seed=1)
        self.out = layers.Dense(1)

    def call(self, x, training=False):
        return self.out(self.drop(self.norm(self.hidden(x), training=training), training=training))


def subclass(optimizer=None, loss="mse", **compiled):
    """`Subclass`, for regression: labels `[batch]`, predictions `[batch, 1]`."""
    keras.utils.set_random_seed(3)
    model = Subclass()
    model.compile(optimizer or keras.optimizers.RMSprop(0.01), loss, metrics=["mae"], **compiled)
    return model


def two(optimizer=None, **compiled):
    """Two inputs and two outputs, by name, with weights of the losses."""
    keras.utils.set_random_seed(3)
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    x = layers.Dense(8, "relu")(layers.Concatenate()([left, right]))
    outputs = {
        "kind": layers.Dense(3, "softmax", name="kind")(x),
        "size": layers.Dense(1, name="size")(x),
    }
    model = keras.Model({"left": left, "right": right}, outputs)
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    metrics = {"kind": "accuracy", "size": "mae"}
    weights = {"kind": 1.0, "size": 0.3}
    optimizer = optimizer or keras.optimizers.Adam(0.01)
    model.compile(optimizer, losses, loss_weights=weights, metrics=metrics, **compiled)
    return model


def data_of(make_model):
    """Training data for a model of one of the kinds, by the name of its function: `(x, y)`."""
    random = np.random.default_rng(7)
    labels = random.integers(3, size=EXAMPLES)
    kind = make_model.__name__
    if kind in ("dense", "plain"):
        x = random.normal(size=(EXAMPLES, 6)).astype("float32")
        x[np.arange(EXAMPLES), labels] += 2
        return x, labels
    if kind == "convolution":
        x = random.normal(size=(EXAMPLES, 8, 8, 1)).astype("float32")
        return x + labels[:, None, None, None].astype("float32"), labels
    if kind == "recurrent":
        x = random.integers(1, VOCABULARY, size=(EXAMPLES, 7)).astype("int32")
        x[np.arange(7) >= random.integers(2, 8, size=EXAMPLES)[:, None]] = 0
        return x, (x[:, 0] > VOCABULARY // 2).astype("int32")
    if kind == "subclass":
        x = random.normal(size=(EXAMPLES, 5)).astype("float32")
        return x, (x.sum(axis=1) + 0.5).astype("float32")
    x = {
        name: random.normal(size=(EXAMPLES, n)).astype("float32")
        for name, n in (("left", 4), ("right", 3))
    }
    return x, {"kind": labels, "size": x["left"].sum(axis=1, keepdims=True)}
