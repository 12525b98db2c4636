"""The handbook's multilayer perceptron, and the function that compiles it."""

import functools
from collections.abc import Sequence
from typing import Any

import keras

from kerasmlp.models.quantization import WEIGHT_BITS, QuantizedDense


@keras.saving.register_keras_serializable(package="kerasmlp")
class MLP(keras.Model):
    """Flatten, Dense layers with ReLU, a Dense layer with one unit for each class, softmax.

    Takes images, float32 `[batch, height, width, channels]` in [0, 1]. Returns the probability of each
    class, float32 `[batch, classes]`. With the defaults, for grey images of 28x28 pixels, it has 79,510
    parameters.

    Args:
        hidden_units: the number of units of each hidden layer, `dense1` first.
        quantize: `int8` or `int4` rounds weights to 8 or 4 bits, and activations to 8, see
            `quantization`. `none` rounds nothing.
    """

    def __init__(
        self,
        hidden_units: Sequence[int] = (100,),
        classes: int = 10,
        quantize: str = "none",
        name: str = "mlp",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.hidden_units, self.classes = tuple(hidden_units), classes
        self.quantize_to = quantize
        self.flatten = keras.layers.Flatten(name="flatten")
        dense: Any = keras.layers.Dense
        if self.is_quantized:
            dense = functools.partial(QuantizedDense, bits=WEIGHT_BITS[quantize])
        self.hidden = [
            dense(units, activation="relu", name=f"dense{i}")
            for i, units in enumerate(self.hidden_units, start=1)
        ]
        self.head = dense(classes, name=f"dense{len(self.hidden) + 1}")

    @property
    def is_quantized(self) -> bool:
        """Whether weights and activations are rounded."""
        return self.quantize_to != "none"

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for images of `input_shape`, `(batch, height, width, channels)`."""
        shape = input_shape
        for layer in (self.flatten, *self.hidden, self.head):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def activations(self, x: Any, training: bool = False) -> Any:
        """Return the activations of the last hidden layer, `[batch, units]`."""
        x = self.flatten(x)
        for layer in self.hidden:
            x = layer(x, training=training)
        return x

    def call(self, x: Any, training: bool = False) -> Any:
        """Return the probabilities, `[batch, classes]`."""
        # With the softmax of keras.ops, not tf.nn, Keras' cross-entropy uses the logits, also in eager
        # mode. So all loops compute the same loss.
        return keras.ops.softmax(self.head(self.activations(x, training), training=training))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        own = {"hidden_units": list(self.hidden_units), "classes": self.classes}
        return {**config, **own, "quantize": self.quantize_to}


def compiled_mlp(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    hidden_units: Sequence[int] = (100,),
    quantize: str = "none",
    optimizer: keras.optimizers.Optimizer | None = None,
    jit_compile: bool = False,
    steps_per_execution: int = 1,
) -> MLP:
    """Return an `MLP` for images of `image_shape`, built, and compiled as in the handbook.

    The optimizer is Adam with a learning rate of 0.001, if none is given. The loss is the sparse
    categorical cross-entropy, the metric is `accuracy`. Call `keras.utils.set_random_seed` before, and
    the initial weights are reproducible.
    """
    model = MLP(hidden_units, classes, quantize)
    model.build((None, *image_shape))
    model.compile(
        optimizer=optimizer or keras.optimizers.Adam(0.001),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
    return model


def calibrated(model: MLP, x: Any, quantize: str) -> MLP:
    """Return a trained model after post-training quantization to `int8` or `int4`.

    The model is built and not quantized. Images `x`, as it takes them, set the ranges of activations.
    """
    quantized = MLP(model.hidden_units, model.classes, quantize)
    quantized.build(model.get_build_config()["input_shape"])
    for variable, value in zip(quantized.trainable_variables, model.trainable_variables, strict=True):
        variable.assign(value)
    quantized(x, training=True)
    return quantized
