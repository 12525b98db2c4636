"""Writes a model in each export format. Every export takes images as bytes, and scales them itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.exporting.formats import FormatName
from kerasmlp.models import MLP, calibrated, plain


def write(model: MLP, format: FormatName, path: Path, images: Any) -> None:
    """Export `model` to `path`, which must not exist yet.

    The export takes uint8 `[batch, height, width, channels]` and returns float32 probabilities, `[batch,
    classes]`. `litert-int8` computes with integers only, and returns uint8 multiples of 1 / 256.

    Args:
        model: a trained model.
        format: the format of the export.
        path: the path of the new file, or of the new folder for `savedmodel`.
        images: uint8 `[images, height, width, channels]`. `litert-int8` uses them to find the ranges of
            the activations of a model that was not trained for integers.
    """
    inference_model = MLP.from_config(model.get_config())  # a copy without the optimizer
    inference_model.build(model.get_build_config()["input_shape"])
    inference_model.set_weights(model.get_weights())
    WRITERS[format](inference_model, path, images)


def _keras(model: MLP, path: Path, images: Any) -> None:
    _taking_bytes(model).save(path)


def _savedmodel(model: MLP, path: Path, images: Any) -> None:
    _taking_bytes(model).export(path, format="tf_saved_model", verbose=False)


def _litert(model: MLP, path: Path, images: Any) -> None:
    # By default, Keras also allows operations of TensorFlow, which the runtime does not have.
    builtins_only = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    model = _taking_bytes(_without_fake_quantization(model))
    model.export(path, format="litert", verbose=False, target_spec=builtins_only)


def _litert_int8(model: MLP, path: Path, images: Any) -> None:
    if not model.is_quantized:
        model = calibrated(model, keras.ops.cast(images, "float32") / 255.0, "int8")
    # The bytes are the integers of pixels in [0, 1], so the export needs no scaling.
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
    model = _taking_bytes(_without_fake_quantization(model))
    signature = [keras.InputSpec(shape=model.input.shape, dtype="uint8", name="images")]
    model.export(path, format="onnx", verbose=False, input_signature=signature)


def _without_fake_quantization(model: MLP) -> keras.Model:
    """Return the model with rounded weights, for runtimes that have no fake quantization."""
    return plain(model, ranges=False) if model.is_quantized else model


def _taking_bytes(model: keras.Model) -> keras.Model:
    """Return the model with a layer before it that scales bytes."""
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
