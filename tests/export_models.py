"""Compiled models of several kinds, by name as `--model` takes it; and runs that trained them."""

import keras
import numpy as np
from keras import layers

import fit_models
import small_models
from helpers import compiled
from kerasmlp.runs.settings import Settings
from kerasmlp.train import train


def two():
    return fit_models.compiled("two")[0]


def recurrent():
    return fit_models.compiled("text")[0]


def table():
    """A regression that scales its columns, with constants that are no weights."""
    scaled = layers.Normalization(mean=np.zeros(5), variance=np.full(5, 4.0))
    model = keras.Sequential([keras.Input((5,)), scaled, layers.Dense(8, "relu"), layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def images():
    """Logits of three classes, from images of 6x6."""
    model = compiled(lambda: small_models.convolution()[:-1])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def words():
    vectorize = layers.TextVectorization(vocabulary=["good", "bad"], output_sequence_length=2)
    model = keras.Sequential(
        [keras.Input((), dtype="string"), vectorize, layers.Embedding(4, 2), layers.Flatten()]
    )
    model.add(layers.Dense(1))
    model.compile("adam", "mse")
    return model


class Unsavable(keras.Model):
    """Keras cannot save it, since it cannot save what it is made of."""

    def __init__(self, activation):
        super().__init__()
        self.head = layers.Dense(1, activation=activation)

    def call(self, x):
        return self.head(x)


def unsavable():
    model = Unsavable(lambda x: keras.ops.tanh(x) + object.__sizeof__(0) * 0)
    model.compile("adam", "mse")
    return model


def run(folder, name, data):
    """The folder of a run that trained the model of that name for an epoch."""
    arrays = {}
    for part, value in data.items():
        of = value if isinstance(value, dict) else {None: value}
        for key, array in of.items():
            for end in ("train", "test"):
                arrays[f"{part}_{end}" + ("" if key is None else f"/{key}")] = array
    path = folder / "data.npz"
    np.savez(path, **arrays)
    trained = {"model": f"{__name__}:{name}", "data": str(path), "epochs": 1, "batch_size": 4}
    plain = {"jit_compile": False, "steps_per_execution": 1, "validation_size": 0, "summaries": ()}
    settings = Settings(**trained, **plain, logdir=folder, name="run")
    return train(settings)[0]
