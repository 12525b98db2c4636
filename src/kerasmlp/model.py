"""The handbook's multilayer perceptron, and the one place that compiles it."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import keras

from kerasmlp import run


@keras.saving.register_keras_serializable(package="kerasmlp")
class MLP(keras.Model):
    """Flatten, Dense layers with ReLU, a Dense layer with a unit a class, softmax.

    Takes images, float32 `[batch, height, width, channels]` in [0, 1]; returns the probability of each
    class, float32 `[batch, classes]`. With the defaults on 28x28 grey images it has 79,510 parameters.

    Args:
        hidden_units: units of each hidden layer, `dense1` first.
        classes: units of the last layer.
        name: the first part of the paths of its variables.
    """

    def __init__(
        self,
        hidden_units: Sequence[int] = (100,),
        classes: int = 10,
        name: str = "mlp",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.hidden_units = tuple(hidden_units)
        self.classes = classes
        self.flatten = keras.layers.Flatten(name="flatten")
        self.hidden = [
            keras.layers.Dense(units, activation="relu", name=f"dense{i}")
            for i, units in enumerate(self.hidden_units, start=1)
        ]
        self.head = keras.layers.Dense(classes, name=f"dense{len(self.hidden) + 1}")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for images of `input_shape`, `(batch, height, width, channels)`."""
        shape = input_shape
        for layer in (self.flatten, *self.hidden, self.head):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def activations(self, x: Any) -> Any:
        """Return those of the last hidden layer, `[batch, units]`."""
        x = self.flatten(x)
        for layer in self.hidden:
            x = layer(x)
        return x

    def call(self, x: Any) -> Any:
        """Return the probabilities, `[batch, classes]`."""
        # Through keras.ops, not tf.nn: Keras' cross-entropy then finds the logits behind the
        # probabilities, in eager mode too, and all loops compute the same loss.
        return keras.ops.softmax(self.head(self.activations(x)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal, untrained model."""
        config = super().get_config()
        return {**config, "hidden_units": list(self.hidden_units), "classes": self.classes}


def compiled_mlp(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    hidden_units: Sequence[int] = (100,),
    learning_rate: float = 0.001,
    jit_compile: bool = False,
    steps_per_execution: int = 1,
) -> MLP:
    """Return an `MLP` for images of `image_shape`, built, and compiled as the handbook trains it.

    Adam, sparse categorical cross-entropy, and the accuracy as the metric `accuracy`. The initial
    weights follow from `keras.utils.set_random_seed`.
    """
    model = MLP(hidden_units, classes)
    model.build((None, *image_shape))
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
    return model


def load(path: str | PathLike[str]) -> keras.Model:
    """Return the model of a finished run's folder, or of a `.keras` file; runs no code from the file.

    It is compiled if it was when it was saved.

    Raises:
        FileNotFoundError: the folder has no model: the run has not ended.
        ValueError: the file is not a saved Keras model.
    """
    file = Path(path)
    if file.is_dir():
        file /= run.MODEL
        if not file.is_file():
            raise FileNotFoundError(f"expected the folder of a finished run; {path} has no {run.MODEL}")
    return keras.models.load_model(file, safe_mode=True)
