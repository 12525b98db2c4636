"""Run an exported model by its format's own runtime: `python runtimes.py FORMAT MODEL IMAGES OUT`.

A script that imports nothing of this package, so that what it runs needs nothing of it; but a `.keras`
file names the package's class, and Keras must have been told of it. IMAGES is an `.npy` file of uint8
`[images, height, width, channels]`. Into OUT, an `.npz` file, it writes `probabilities`, float32
`[images, classes]`, and `milliseconds_1` and `milliseconds_1000`, the median time of a call with the
first image, and with the first 1,000.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[[Any], Any]
BATCH = 1000
"""Images of a call."""
SECONDS = 0.5
"""How long each kind of call is timed, ten calls at least."""


def keras(path: str) -> Call:
    """Return a function that runs a `.keras` file."""
    import keras

    import kerasmlp  # noqa: F401

    return keras.models.load_model(path).predict_on_batch


def savedmodel(path: str) -> Call:
    """Return a function that runs a SavedModel."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # kept, or its variables would go
    return lambda images: loaded.serve(images).numpy()


def litert(path: str) -> Call:
    """Return a function that runs a `.tflite` file, and returns what its integers stand for."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    entry, exit = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]

    def call(images: Any) -> Any:
        if tuple(interpreter.get_input_details()[0]["shape"]) != images.shape:
            interpreter.resize_tensor_input(entry, images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(entry, images)
        interpreter.invoke()
        values = interpreter.get_tensor(exit["index"])
        scale, zero = exit["quantization"]
        return values if values.dtype == np.float32 else (values - np.float32(zero)) * np.float32(scale)

    return call


def onnx(path: str) -> Call:
    """Return a function that runs an `.onnx` file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    return lambda images: session.run(None, {entry.name: images})[0]


RUNTIMES = {
    "keras": keras,
    "savedmodel": savedmodel,
    "litert": litert,
    "litert-int8": litert,
    "onnx": onnx,
}


def milliseconds(call: Call, images: Any) -> float:
    """Return the median time of a call."""
    call(images)
    times: list[float] = []
    while len(times) < 10 or sum(times) < SECONDS:
        begin = time.perf_counter()
        call(images)
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times)


def main(format: str, path: str, images_path: str, out: str) -> None:
    """Run the model on all images."""
    images = np.load(images_path)
    call = RUNTIMES[format](path)
    parts = [call(images[first : first + BATCH]) for first in range(0, len(images), BATCH)]
    times = {f"milliseconds_{count}": milliseconds(call, images[:count]) for count in (1, BATCH)}
    np.savez(out, probabilities=np.concatenate(parts), **times)  # type: ignore[arg-type]
