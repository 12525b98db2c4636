"""Writes a model in each export format. Every export takes images as bytes, and scales them itself."""

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.exporting.formats import FormatName
from kerasmlp.models import MLP, calibrated, plain


def write(model: MLP, format: FormatName, path: Path, images: Any) -> None:
    """Export `model` to `path`, a new file, or a new folder for `savedmodel`.

    The export takes uint8 `[batch, height, width, channels]` and returns float32 probabilities, `[batch,
    classes]`. `litert-int8` computes with integers only, and returns uint8 multiples of 1 / 256. If the
    model was not trained for integers, the ranges of its activations are found on `images`, uint8.
    """
    copy = MLP.from_config(model.get_config())  # without the optimizer
    copy.build(model.get_build_config()["input_shape"])
    copy.set_weights(model.get_weights())
    # By default, Keras also allows operations of TensorFlow, which LiteRT does not have.
    builtins_only = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    match format:
        case "keras":
            _taking_bytes(copy).save(path)
        case "savedmodel":
            _taking_bytes(copy).export(path, "tf_saved_model", verbose=False)
        case "litert":
            served = _taking_bytes(_without_fake_quantization(copy))
            served.export(path, "litert", verbose=False, target_spec=builtins_only)
        case "litert-int8":
            if not copy.is_quantized:
                copy = calibrated(copy, keras.ops.cast(images, "float32") / 255.0, "int8")
            # The bytes are the integers of pixels in [0, 1], so the export needs no scaling.
            plain(copy, ranges=True).export(
                path,
                "litert",
                verbose=False,
                optimizations=[tf.lite.Optimize.DEFAULT],
                target_spec=builtins_only,
                inference_input_type=tf.uint8,
                inference_output_type=tf.uint8,
            )
        case "onnx":
            served = _taking_bytes(_without_fake_quantization(copy))
            signature = [keras.InputSpec(shape=served.input.shape, dtype="uint8", name="images")]
            served.export(path, "onnx", verbose=False, input_signature=signature)


def _without_fake_quantization(model: MLP) -> keras.Model:
    """Return the model with rounded weights, for runtimes that have no fake quantization."""
    return plain(model, ranges=False) if model.is_quantized else model


def _taking_bytes(model: keras.Model) -> keras.Model:
    """Return the model with a layer before it that scales bytes."""
    shape = model.get_build_config()["input_shape"][1:]
    images = keras.Input(shape, dtype="uint8", name="images")
    return keras.Model(images, model(keras.layers.Rescaling(1 / 255)(images)), name="served")
