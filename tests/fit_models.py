"""Five models of different kinds, each with its data, trained through `kerasmlp.fit`."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import kerasmlp
from helpers import datasets

EXAMPLES, BATCH_SIZE, EPOCHS = 50, 8, 4
"""Six full batches an epoch, and a partial one."""


def _numbers():
    return np.random.default_rng(3)


def cnn():
    """A convolution with the statistics of BatchNormalization, and dropout."""
    x = _numbers().normal(size=(EXAMPLES, 6, 6, 1)).astype(np.float32)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax"),
        ]
    )
    labels = _numbers().integers(0, 3, EXAMPLES)
    return model, "sparse_categorical_crossentropy", {"x": x, "y": labels, "validation_split": 0.2}


def text():
    """Token ids of different lengths, masked, through a recurrent layer."""
    tokens = _numbers().integers(1, 20, (EXAMPLES, 7))
    tokens[np.arange(7) >= _numbers().integers(1, 8, EXAMPLES)[:, None]] = 0
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(20, 4, mask_zero=True),
            layers.GRU(5),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    labels = _numbers().integers(0, 2, EXAMPLES)
    return model, "binary_crossentropy", {"x": tokens.astype(np.int32), "y": labels}


def two():
    """Two inputs and two outputs in dicts, with weights of samples."""
    first, second = keras.Input((3,), name="first"), keras.Input((2,), name="second")
    hidden = layers.Dense(6, activation="tanh")(layers.Concatenate()([first, second]))
    outputs = {
        "number": layers.Dense(1, name="number")(hidden),
        "class": layers.Dense(3, activation="softmax", name="class")(hidden),
    }
    numbers = _numbers()
    return (
        keras.Model({"first": first, "second": second}, outputs),
        {"number": "mse", "class": "sparse_categorical_crossentropy"},
        {
            "x": {
                name: numbers.normal(size=(EXAMPLES, size))
                for name, size in (("first", 3), ("second", 2))
            },
            "y": {"number": numbers.normal(size=EXAMPLES), "class": numbers.integers(0, 3, EXAMPLES)},
            "sample_weight": {name: numbers.uniform(size=EXAMPLES) for name in ("number", "class")},
        },
    )


def table():
    """A regression on a table of numbers, with regularisation."""
    x = _numbers().normal(size=(EXAMPLES, 5))
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(8, activation="relu", kernel_regularizer="l2"),
            layers.Dense(1),
        ]
    )
    y = x @ np.arange(5) + _numbers().normal(size=EXAMPLES)
    return model, "mse", {"x": x, "y": y, "validation_data": (x[:9], y[:9])}


def dataset():
    """Batches of one shape from a `tf.data.Dataset`."""
    model, loss, arrays = table()
    x, y = arrays["x"].astype(np.float32), arrays["y"].astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH_SIZE, drop_remainder=True)
    return model, loss, {"x": batches, "validation_data": batches.take(2)}


MODELS = {"cnn": cnn, "text": text, "two": two, "table": table, "dataset": dataset}


class Steps(keras.callbacks.Callback):
    """A callback of one's own: notes the learning rate of each step, and writes it down at the end."""

    checkpointed = ("rates",)

    def __init__(self, path):
        super().__init__()
        self.path, self.rates = Path(path), []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))

    def on_train_end(self, logs=None):
        self.path.write_text("\n".join(map(str, self.rates)))


def compiled(name, **compilation):
    """The model of that name, compiled, with an average of its weights; and the arguments of `fit`."""
    keras.utils.set_random_seed(5)
    keras.utils.clear_session(free_memory=False)
    model, loss, arguments = MODELS[name]()
    optimizer = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, loss, **{"jit_compile": False, **compilation})
    if name != "dataset":
        arguments["batch_size"] = BATCH_SIZE
    return model, arguments


def keras_callbacks(folder):
    """The callbacks of Keras that change the training or write files, and one of one's own."""
    folder.mkdir(exist_ok=True)
    return [
        keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=0.05),
        keras.callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(
            str(folder / "{epoch}-{loss:.6f}.weights.h5"), save_freq=5, save_weights_only=True
        ),
        keras.callbacks.CSVLogger(str(folder / "log.csv")),
        Steps(folder / "rates.txt"),
    ]


def train(name, run, *, callbacks=True, others=(), epochs=EPOCHS, compilation=None, **options):
    """Train the model of that name through `kerasmlp.fit`; begin the run, or resume it."""
    model, arguments = compiled(name, **(compilation or {}))
    run = Path(run)
    run.parent.mkdir(parents=True, exist_ok=True)
    heard = keras_callbacks(run.with_name(f"{run.name}-written")) if callbacks else []
    heard += others
    history = kerasmlp.fit(
        model, **arguments, epochs=epochs, callbacks=heard, run=run, resume=True, **options
    )
    return model, history


def written(run):
    """What the callbacks wrote: names and contents of the files; of weights, their values."""
    files = sorted(run.with_name(f"{run.name}-written").iterdir())
    return {path.name: datasets(path) if path.suffix == ".h5" else path.read_text() for path in files}
