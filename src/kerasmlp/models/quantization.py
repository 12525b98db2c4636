"""How a layer is trained for the integers that it will be computed with: quantization-aware training.

After Jacob et al. (2018), "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference": weights and activations are rounded to the values that integers will
have, and gradients pass through the rounding. TensorFlow's own fake-quantization operations do both.
"""

from typing import Any

import keras
import tensorflow as tf

WEIGHT_BITS = {"int8": 8, "int4": 4}
"""Bits of a weight. Activations always have 8, biases 32."""
ACTIVATION_BITS = 8


@keras.saving.register_keras_serializable(package="kerasmlp")
class QuantizedDense(keras.layers.Dense):
    """A Dense layer that rounds its kernel and its outputs as integer arithmetic will.

    The weights of a unit have a scale of their own, symmetric about 0: the largest is the integer 127,
    of 8 bits, or 7, of 4. The outputs have one range, `lowest` to `highest`: of 0 and all values that
    they had in training. Biases stay as they are: their integers have 32 bits.

    Args:
        units: of the layer.
        bits: of a weight.
        kwargs: as Dense takes them.
    """

    def __init__(self, units: int, bits: int = 8, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.bits = bits

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        for name in ("lowest", "highest"):
            setattr(self, name, self.add_weight((), "zeros", trainable=False, name=name))

    def call(self, inputs: Any, training: bool = False) -> Any:
        outputs = inputs @ rounded(self.kernel, self.bits) + self.bias
        if self.activation is not None:
            outputs = self.activation(outputs)
        if training:
            self.lowest.assign(tf.minimum(self.lowest, tf.reduce_min(outputs)))
            self.highest.assign(tf.maximum(self.highest, tf.reduce_max(outputs)))
        return fake_quantized(outputs, self.lowest, self.highest)

    # Dense would save and load its kernel and bias alone.
    def save_own_variables(self, store: Any) -> None:
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        keras.layers.Layer.load_own_variables(self, store)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bits": self.bits}


def rounded(kernel: Any, bits: int) -> Any:
    """Return a kernel, float32 `[inputs, units]`, rounded to integers of `bits` times a scale a unit."""
    largest = tf.reduce_max(tf.abs(kernel), axis=0)
    return tf.quantization.fake_quant_with_min_max_vars_per_channel(
        kernel, -largest, largest, num_bits=bits, narrow_range=True
    )


def fake_quantized(x: Any, lowest: Any, highest: Any) -> Any:
    """Return `x`, float32, rounded to the 256 values from `lowest` to `highest`."""
    return tf.quantization.fake_quant_with_min_max_vars(x, lowest, highest, num_bits=ACTIVATION_BITS)


def plain(model: Any, ranges: bool) -> keras.Model:
    """Return a quantized MLP as layers that every format knows, its kernels rounded.

    The LiteRT converter takes a range only from a constant, and no fake quantization of a kernel
    `[inputs, units]` unit by unit at all. From the rounded kernels it finds the scale of each unit
    again, the largest weight over 127, so its integers are those of the training. (With 4 bits they are
    those nearest to them on the grid of 8 bits, less than 3 % of a step of 4 bits away.)

    Args:
        model: an `MLP` of `QuantizedDense` layers, built. The range of the pixels is [0, 1].
        ranges: whether activations are rounded too, with their ranges as constants.
    """
    layers: list[Any] = [_range(0.0, 1.0), keras.layers.Flatten()]
    weights = []
    for layer in (*model.hidden, model.head):
        dense = keras.layers.Dense(layer.units, activation=layer.activation, name=layer.name)
        layers += [dense, _range(float(layer.lowest), float(layer.highest))]
        weights += [rounded(layer.kernel, layer.bits).numpy(), layer.bias.numpy()]
    shape = model.get_build_config()["input_shape"][1:]
    kept = [layer for layer in layers if ranges or not isinstance(layer, keras.layers.Lambda)]
    plain = keras.Sequential([keras.Input(shape), *kept, keras.layers.Softmax()])
    plain.set_weights(weights)
    return plain


def _range(lowest: float, highest: float) -> keras.layers.Layer:
    return keras.layers.Lambda(lambda x: fake_quantized(x, lowest, highest))
