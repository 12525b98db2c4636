"""Run an exported model in the runtime of its format: `python runtimes.py FORMAT MODEL IMAGES OUTPUT`.

IMAGES is an `.npy` file, uint8 `[images, height, width, channels]`. The script writes OUTPUT, an `.npz`
file, with `probabilities`, float32 `[images, classes]`, and `milliseconds_1` and `milliseconds_1000`,
the median times of a call with the first image and with the first 1,000 images.

It does not import kerasmlp, except for a `.keras` file, which contains a class that kerasmlp registers.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[[Any], Any]
"""Takes images, uint8 `[batch, height, width, channels]`. Returns probabilities, `[batch, classes]`."""
BATCH = 1000
"""Number of images in a call."""
SECONDS = 0.5
"""Calls are timed for at least this long, and at least ten times."""


def keras(path: str) -> Call:
    """Return a function that runs a `.keras` file."""
    import keras

    import kerasmlp  # noqa: F401

    return keras.models.load_model(path).predict_on_batch


def savedmodel(path: str) -> Call:
    """Return a function that runs a SavedModel."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # must live as long as the function: it owns the variables
    return lambda images: loaded.serve(images).numpy()


def litert(path: str) -> Call:
    """Return a function that runs a `.tflite` file. It converts integer outputs to floats."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    input_index = interpreter.get_input_details()[0]["index"]
    output = interpreter.get_output_details()[0]

    def call(images: Any) -> Any:
        if tuple(interpreter.get_input_details()[0]["shape"]) != images.shape:
            interpreter.resize_tensor_input(input_index, images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(input_index, images)
        interpreter.invoke()
        values = interpreter.get_tensor(output["index"])
        scale, zero = output["quantization"]
        return values if values.dtype == np.float32 else (values - np.float32(zero)) * np.float32(scale)

    return call


def onnx(path: str) -> Call:
    """Return a function that runs an `.onnx` file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (model_input,) = session.get_inputs()
    return lambda images: session.run(None, {model_input.name: images})[0]


RUNTIMES = {
    "keras": keras,
    "savedmodel": savedmodel,
    "litert": litert,
    "litert-int8": litert,
    "onnx": onnx,
}


def milliseconds(call: Call, images: Any) -> float:
    """Return the median time of a call."""
    call(images)  # a warm-up
    times: list[float] = []
    while len(times) < 10 or sum(times) < SECONDS:
        begin = time.perf_counter()
        call(images)
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times)


def main(format: str, path: str, images_path: str, output_path: str) -> None:
    """Run the model on all images, time it, and write the results."""
    images = np.load(images_path)
    call = RUNTIMES[format](path)
    parts = [call(images[first : first + BATCH]) for first in range(0, len(images), BATCH)]
    times = {f"milliseconds_{count}": milliseconds(call, images[:count]) for count in (1, BATCH)}
    np.savez(output_path, probabilities=np.concatenate(parts), **times)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
