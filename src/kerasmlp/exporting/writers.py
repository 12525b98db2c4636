"""Writes a model in each export format."""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from kerasmlp import keras_internals
from kerasmlp.exporting.formats import FormatName
from kerasmlp.exporting.page import write_page
from kerasmlp.exporting.reasons import FormatError
from kerasmlp.exporting.served import Served
from kerasmlp.models import MLP, calibrated, plain

# By default, Keras also allows operations of TensorFlow, which LiteRT does not have.
LITERT: dict[str, Any] = {
    "format": "litert",
    "target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]},
}


def write(served: Served, format: FormatName, path: Path) -> None:
    """Export a model to `path`, a new file, or a new folder for `savedmodel`.

    The export takes the arrays of the data, by name, and returns what the model returns. Images as bytes
    are taken as bytes, and scaled. `litert-int8` has weights and activations of 8 bits, with the ranges
    of the training examples; its inputs and outputs stay what they are, except for the handbook's MLP.

    Raises:
        FormatError: the format cannot hold the model.
        OSError: the file cannot be written.
    """
    try:
        with _for_inference(served.model) as model:
            _write(served, model, format, path)
    except (FormatError, OSError, MemoryError):
        raise
    except Exception as error:  # Keras and the converters raise many classes
        raise FormatError(format, str(error)) from error


def _write(served: Served, model: keras.Model, format: FormatName, path: Path) -> None:
    if isinstance(model, MLP) and model.is_quantized and format in ("litert", "onnx"):
        model = plain(model, ranges=False)  # these runtimes have no fake quantization
    if format not in ("keras", "savedmodel") and _is_of_halves(model):
        raise FormatError(
            format, "it is for float32; this model computes in half precision, see its dtype policy"
        )
    match format:
        case "keras":
            (served.serving(model) if served.takes_bytes else model).save(path)
        case "savedmodel":
            _export(served.serving(model, training=False), path, format="tf_saved_model")
        case "litert":
            _write_litert(served, model, path)
        case "litert-int8" if served.is_handbooks:
            _write_integers_alone(model, served.training_x, path)
        case "litert-int8":
            _write_integers(served, model, path)
        case "onnx":
            _write_onnx(served.serving(model, training=False), path)
        case "html":
            write_page(dataclasses.replace(served, model=model), path)


@contextlib.contextmanager
def _for_inference(model: keras.Model) -> Iterator[keras.Model]:
    """Within the context, let the model have no optimizer, loss and metrics, which no export has."""
    optimizer, compiled = model.optimizer, model.compiled
    model.optimizer, model.compiled = None, False
    try:
        yield model
    finally:
        model.optimizer, model.compiled = optimizer, compiled


def _write_litert(served: Served, model: keras.Model, path: Path) -> None:
    """Write floats. LiteRT runs a loop, such as that of an LSTM, on a fixed number of examples alone."""
    batch_size = 1 if _has_loop(served, model) else None
    _export(served.serving(model, batch_size, training=False), path, **LITERT)


def _write_integers(served: Served, model: keras.Model, path: Path) -> None:
    """Write integers, with the ranges that activations have on the training examples."""
    if _has_loop(served, model):  # the process would end with a segmentation fault
        raise FormatError(
            "litert-int8",
            "LiteRT cannot find the ranges of activations in a loop, such as that of an LSTM; a"
            " recurrent layer has none with unroll=True",
        )
    inputs = served.by_name(served.training_x)

    def training_examples() -> Iterator[dict[str, Any]]:
        for example in zip(*inputs.values(), strict=True):
            yield {name: part[None] for name, part in zip(inputs, example, strict=True)}

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*Warning: (tf.lite.Interpreter is|Please use the LiteRT)")
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")  # of TensorFlow 2.18
        _export(
            served.serving(model, training=False),
            path,
            optimizations=[tf.lite.Optimize.DEFAULT],
            representative_dataset=training_examples,
            **LITERT,
        )


def _write_integers_alone(model: MLP, images: Any, path: Path) -> None:
    """Write the handbook's MLP with operations of integers alone, and bytes in and out.

    It takes the images as bytes, and returns uint8 multiples of 1 / 256. If it was not trained for
    integers, the ranges of its activations are found on `images`, uint8.
    """
    if not model.is_quantized:
        model = calibrated(model, keras.ops.cast(images, "float32") / 255.0, "int8")
    # The bytes are the integers of pixels in [0, 1], so the export needs no scaling.
    plain(model, ranges=True).export(
        path,
        verbose=False,
        optimizations=[tf.lite.Optimize.DEFAULT],
        inference_input_type=tf.uint8,
        inference_output_type=tf.uint8,
        **LITERT,
    )


def _export(serving: keras.Model, path: Path, **options: Any) -> None:
    """Export what `Served.serving` returns. Its inputs keep their names and their shapes."""
    serving.export(path, verbose=False, input_signature=[_signature(serving)], **options)


def _write_onnx(serving: keras.Model, path: Path) -> None:
    """Write what `Served.serving` returns.

    tf2onnx takes constants, such as the mean in a `Normalization`, for inputs. So they are put into the
    graph before.
    """
    traced, signature = _traced(serving), _signature(serving)
    if all(tensor.op.type != "Const" for tensor in traced.inputs):
        _export(serving, path, format="onnx")
        return
    frozen = convert_variables_to_constants_v2(
        traced, lower_control_flow=False, aggressive_inlining=True
    )
    if len(frozen.inputs) != len(tf.nest.flatten(signature)):
        raise FormatError("onnx", "tf2onnx cannot convert tables, such as that of a TextVectorization")

    class Frozen(keras.Model):
        def call(self, inputs: Any) -> Any:
            outputs = frozen(*tf.nest.flatten(inputs))
            return tf.nest.pack_sequence_as(traced.structured_outputs, outputs)

    model = Frozen()
    model.built = True
    model.export(path, format="onnx", verbose=False, input_signature=[signature])


def _traced(serving: keras.Model) -> Any:
    """Return the model as a function of TensorFlow, with a graph."""
    return tf.function(serving, autograph=False).get_concrete_function(_signature(serving))


def _signature(serving: keras.Model) -> Any:
    """Return the specification of the inputs, with their names, in their structure."""
    return keras.tree.map_structure(
        lambda part: tf.TensorSpec(part.shape, part.dtype, part.name), keras_internals.inputs(serving)
    )


def _is_of_halves(model: keras.Model) -> bool:
    dtypes = {layer.compute_dtype for layer in keras_internals.layers(model)}
    return not dtypes.isdisjoint({"float16", "bfloat16"})


def _has_loop(served: Served, model: keras.Model) -> bool:
    """Return whether TensorFlow computes the model with a loop."""
    graph = _traced(served.serving(model)).graph.as_graph_def()
    functions = [node for function in graph.library.function for node in function.node_def]
    return any(node.op in ("While", "StatelessWhile") for node in (*graph.node, *functions))
