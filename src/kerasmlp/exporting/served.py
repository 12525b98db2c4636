"""What is exported, and the examples that the export is checked on."""

import dataclasses
import re
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasmlp import tensorboard
from kerasmlp.data import Examples
from kerasmlp.models import MLP
from kerasmlp.runs import load_with_data, model_function

EXAMPLES = 1000
"""Number of test examples for the check, and of training examples for the ranges of integers."""


@dataclasses.dataclass(frozen=True)
class Served:
    """A trained model, and the examples that its export is checked on.

    Inputs are one array `[examples, ...]`, or a dict of arrays by name, as the data have them.

    Attributes:
        model: the trained model.
        run: the name of the run.
        data: the name of the data.
        x: the inputs of the test examples.
        outputs: what the model predicts for them, arrays `[examples, ...]`, in the order of
            `tf.nest.flatten`.
        labels: the label of each test example, integers `[examples]`. None if the model predicts no
            classes.
        training_x: the inputs of training examples.
        takes_bytes: whether the inputs are images as bytes, which the export scales itself.
        module: the module that has the function of the model, and so its classes. None if there is none.
    """

    model: keras.Model
    run: str
    data: str
    x: Any
    outputs: list[NDArray[Any]]
    labels: NDArray[np.integer] | None
    training_x: Any
    takes_bytes: bool
    module: str | None

    @classmethod
    def of_run(cls, folder: Path, data: str | None = None, transpose: bool = False) -> "Served":
        """Return the model of a finished run, with the first of its test and training examples.

        Args:
            folder: the run folder.
            data: other data, as `--data` takes it. None for the data of the run.
            transpose: whether rows and columns of the other images change places.

        Raises:
            ValueError: there is no model, or it does not fit the data.
            OSError: a file cannot be read.
        """
        model, found = load_with_data(folder, data, transpose)
        examples = Examples(*found.test.part(0, EXAMPLES).padded, are_images=found.are_images)
        classified = tensorboard.classified(model, examples)
        function = model_function(folder)
        return cls(
            model=model,
            run=folder.resolve().name,
            data=found.name,
            x=examples.x,
            outputs=tf.nest.flatten(examples.predictions(model)),
            labels=None if classified is None else classified.labels,
            training_x=found.train.part(0, EXAMPLES).padded[0],
            takes_bytes=found.are_images,
            module=None if function is None else function.partition(":")[0],
        )

    @property
    def is_handbooks(self) -> bool:
        """Whether the model is the handbook's MLP, for images as bytes."""
        return isinstance(self.model, MLP) and self.takes_bytes

    @property
    def examples(self) -> int:
        """Number of test examples."""
        return len(self.outputs[0])

    def probabilities(self, outputs: list[NDArray[Any]]) -> NDArray[Any]:
        """Return outputs of a model that predicts classes as probabilities, `[examples, classes]`."""
        return tensorboard.probabilities(self.model, outputs[0])

    def by_name(self, x: Any) -> dict[str, Any]:
        """Return inputs by their names in an export: `images`, `x`, or those of the dict.

        A name has letters, digits and `_` alone, as TensorFlow wants it.
        """
        if isinstance(x, dict):
            return {re.sub(r"\W", "_", name): each for name, each in x.items()}
        return {"images" if self.takes_bytes else "x": x}

    def serving(self, model: keras.Model, batch_size: int | None = None, **call: Any) -> keras.Model:
        """Return a model that takes arrays of the types and shapes of the data, and calls `model`.

        Args:
            model: the model, or another form of it.
            batch_size: the number of examples in a call. None for any number.
            call: further arguments of the call.
        """
        inputs: Any = {
            name: keras.Input(
                array.shape[1:], batch_size, dtype=tf.as_dtype(array.dtype).name, name=name
            )
            for name, array in self.by_name(self.x).items()
        }
        if isinstance(self.x, dict):
            inputs = dict(zip(self.x, inputs.values(), strict=True))
        else:
            (inputs,) = inputs.values()
        taken = keras.layers.Rescaling(1 / 255)(inputs) if self.takes_bytes else inputs
        with warnings.catch_warnings():  # a name of the user's may be none of TensorFlow's
            warnings.filterwarnings("ignore", "When providing `inputs` as a dict")
            warnings.filterwarnings("ignore", "The structure of `inputs` doesn't match")
            return keras.Model(inputs, model(taken, **call), name="served")
