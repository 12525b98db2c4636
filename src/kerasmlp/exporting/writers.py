"""How a model is written in each format. Every export takes images as bytes: the scaling is inside."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.exporting.formats import FormatName
from kerasmlp.models import MLP, calibrated, plain


def write(model: MLP, format: FormatName, path: Path, images: Any) -> None:
    """Write `model` to `path`, which does not exist yet.

    It takes uint8 `[batch, height, width, channels]` and returns float32 probabilities, `[batch,
    classes]`; `litert-int8` computes with integers alone, and returns uint8 multiples of 1 / 256.

    Args:
        model: trained.
        format: to write.
        path: of the new file, or folder for `savedmodel`.
        images: uint8, those on which `litert-int8` finds the ranges of the activations of a model that
            was not trained for integers.
    """
    bare = MLP.from_config(model.get_config())  # without the optimizer
    bare.build(model.get_build_config()["input_shape"])
    bare.set_weights(model.get_weights())
    WRITERS[format](bare, path, images)


def _keras(model: MLP, path: Path, images: Any) -> None:
    _served(model).save(path)


def _savedmodel(model: MLP, path: Path, images: Any) -> None:
    _served(model).export(path, format="tf_saved_model", verbose=False)


def _litert(model: MLP, path: Path, images: Any) -> None:
    only_builtins = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}  # Keras would allow TensorFlow's
    served = _served(_floats(model))
    served.export(path, format="litert", verbose=False, target_spec=only_builtins)


def _litert_int8(model: MLP, path: Path, images: Any) -> None:
    if not model.is_quantized:
        model = calibrated(model, keras.ops.cast(images, "float32") / 255.0, "int8")
    # Bytes are the integers of the pixels' range, [0, 1], so nothing is left of the scaling.
    plain(model, ranges=True).export(
        path,
        format="litert",
        verbose=False,
        optimizations=[tf.lite.Optimize.DEFAULT],
        target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]},
        inference_input_type=tf.uint8,
        inference_output_type=tf.uint8,
    )


def _onnx(model: MLP, path: Path, images: Any) -> None:
    served = _served(_floats(model))
    signature = [keras.InputSpec(shape=served.input.shape, dtype="uint8", name="images")]
    served.export(path, format="onnx", verbose=False, input_signature=signature)


def _floats(model: MLP) -> keras.Model:
    """Return the model for the formats whose runtimes know no fake quantization, and round no sums."""
    return plain(model, ranges=False) if model.is_quantized else model


def _served(model: keras.Model) -> keras.Model:
    """Return a model that takes bytes."""
    shape = model.get_build_config()["input_shape"][1:]
    images = keras.Input(shape, dtype="uint8", name="images")
    return keras.Model(images, model(keras.layers.Rescaling(1 / 255)(images)), name="served")


WRITERS: dict[FormatName, Callable[[MLP, Path, Any], None]] = {
    "keras": _keras,
    "savedmodel": _savedmodel,
    "litert": _litert,
    "litert-int8": _litert_int8,
    "onnx": _onnx,
}
