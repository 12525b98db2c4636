"""Quantization-aware training: a model is trained for integer arithmetic.

As in Jacob et al. (2018), "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference": weights and activations are rounded to the values that integers can
express, and gradients pass through the rounding. TensorFlow's fake-quantization operations do both.
"""

from typing import Any

import keras
import tensorflow as tf

WEIGHT_BITS = {"int8": 8, "int4": 4}
"""The bits of a weight. Activations always have 8, biases 32."""


@keras.saving.register_keras_serializable(package="kerasmlp")
class QuantizedDense(keras.layers.Dense):
    """A Dense layer that rounds its kernel and its outputs as integer arithmetic does.

    A weight has 8 or 4 `bits`. Each unit has its own scale for its weights, symmetric around 0: the
    largest weight becomes the integer 127 with 8 bits, or 7 with 4 bits. All outputs share one range,
    `lowest` to `highest`. It contains 0 and all outputs seen in training. Biases are not rounded.
    """

    def __init__(self, units: int, bits: int = 8, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.bits = bits

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        for name in ("lowest", "highest"):
            setattr(self, name, self.add_weight((), "zeros", trainable=False, name=name))

    def call(self, inputs: Any, training: bool = False) -> Any:
        outputs = self.activation(inputs @ rounded(self.kernel, self.bits) + self.bias)
        if training:
            self.lowest.assign(tf.minimum(self.lowest, tf.reduce_min(outputs)))
            self.highest.assign(tf.maximum(self.highest, tf.reduce_max(outputs)))
        return fake_quantized(outputs, self.lowest, self.highest)

    # Those of Dense save and load only its kernel and bias.
    save_own_variables = keras.layers.Layer.save_own_variables
    load_own_variables = keras.layers.Layer.load_own_variables

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bits": self.bits}


def rounded(kernel: Any, bits: int) -> Any:
    """Return the kernel, float32 `[inputs, units]`, rounded to `bits`, with a scale for each unit."""
    largest = tf.reduce_max(tf.abs(kernel), axis=0)
    return tf.quantization.fake_quant_with_min_max_vars_per_channel(
        kernel, -largest, largest, num_bits=bits, narrow_range=True
    )


def fake_quantized(x: Any, lowest: Any, highest: Any) -> Any:
    """Return `x`, float32, rounded to the 256 values from `lowest` to `highest`."""
    return tf.quantization.fake_quant_with_min_max_vars(x, lowest, highest, num_bits=8)


def plain(model: Any, ranges: bool) -> keras.Model:
    """Return a built, quantized `MLP` as standard Keras layers, with rounded kernels.

    With `ranges`, activations are rounded too, with constant ranges; that of the pixels is [0, 1].
    The LiteRT converter reads ranges only from constants, and it does not support a fake quantization of
    a kernel `[inputs, units]` with a scale for each unit. From a rounded kernel it computes the same
    scales, the largest weight of a unit divided by 127, so its integers are those of the training. (With
    4 bits they are the nearest values of 8 bits, less than 3 % of a step of 4 bits away.)
    """
    layers: list[Any] = [_range(0.0, 1.0), keras.layers.Flatten()]
    weights = []
    for layer in (*model.hidden, model.head):
        dense = keras.layers.Dense(layer.units, activation=layer.activation, name=layer.name)
        layers += [dense, _range(float(layer.lowest), float(layer.highest))]
        weights += [rounded(layer.kernel, layer.bits).numpy(), layer.bias.numpy()]
    shape = model.get_build_config()["input_shape"][1:]
    kept = [layer for layer in layers if ranges or not isinstance(layer, keras.layers.Lambda)]
    sequential = keras.Sequential([keras.Input(shape), *kept, keras.layers.Softmax()])
    sequential.set_weights(weights)
    return sequential


def _range(lowest: float, highest: float) -> keras.layers.Layer:
    return keras.layers.Lambda(lambda x: fake_quantized(x, lowest, highest))
