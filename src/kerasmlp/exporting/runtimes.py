"""Run an export in the runtime of its format: `python runtimes.py FORMAT MODEL INPUTS OUTPUT [MODULE]`.

INPUTS is an `.npz` file with the array `x`, or with an array `x/NAME` for each input. The script writes
OUTPUT, an `.npz` file: the arrays `arr_0`, `arr_1`, ..., one for each output, and `milliseconds_1` and
`milliseconds_1000`, the median times of a call with the first example and with the first 1,000.

It does not import kerasmlp, except for a `.keras` file, which may contain a class that kerasmlp
registers, or MODULE.
"""

import gc
import importlib
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Call = Callable[[Any], list[Any]]
"""Takes an array `[batch, ...]`, or a dict of arrays by name. Returns arrays `[batch, ...]`."""
BATCH = 1000
"""Number of examples in a call."""
SECONDS = 0.5
"""Calls are timed for at least this long, and at least ten times."""


def keras(path: str, module: str) -> Call:
    """Return a function that runs a `.keras` file. The import of `module` registers its classes."""
    import keras
    import tensorflow as tf

    importlib.import_module(module)
    model = keras.models.load_model(path)
    return lambda inputs: tf.nest.flatten(model.predict_on_batch(inputs))


def savedmodel(path: str) -> Call:
    """Return a function that runs a SavedModel."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # must live as long as the function: it owns the variables
    _, names = loaded.signatures["serve"].structured_input_signature

    def call(inputs: Any) -> list[Any]:
        tensors = {name: tf.constant(array) for name, array in by_name(inputs, names).items()}
        return in_order(loaded.signatures["serve"](**tensors))

    return call


def litert(path: str) -> Call:
    """Return a function that runs a `.tflite` file. It converts integer outputs to floats."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    signature = interpreter.get_signature_runner()
    inputs_of, outputs_of = signature.get_input_details(), signature.get_output_details()
    del signature  # it keeps the interpreter from allocating
    takes_one = any(details["shape_signature"][0] == 1 for details in inputs_of.values())

    def read(details: Any) -> Any:
        values = interpreter.get_tensor(details["index"])
        scale, zero = details["quantization"]
        return (values - np.float32(zero)) * np.float32(scale) if scale else values

    def call(inputs: Any) -> list[Any]:
        if takes_one and size(inputs) > 1:
            each = [call(part(inputs, one, one + 1)) for one in range(size(inputs))]
            return [np.concatenate(outputs) for outputs in zip(*each, strict=True)]
        named = by_name(inputs, inputs_of)
        if any(tuple(inputs_of[name]["shape"]) != array.shape for name, array in named.items()):
            for name, array in named.items():
                interpreter.resize_tensor_input(inputs_of[name]["index"], array.shape)
                inputs_of[name]["shape"] = array.shape
            interpreter.allocate_tensors()
        for name, array in named.items():
            interpreter.set_tensor(inputs_of[name]["index"], array)
        interpreter.invoke()
        return in_order({name: read(details) for name, details in outputs_of.items()})

    interpreter.allocate_tensors()
    return call


def onnx(path: str) -> Call:
    """Return a function that runs an `.onnx` file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return lambda inputs: session.run(None, by_name(inputs, names))


RUNTIMES: dict[str, Callable[..., Call]] = {
    "keras": keras,
    "savedmodel": savedmodel,
    "litert": litert,
    "litert-int8": litert,
    "onnx": onnx,
}


def by_name(inputs: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return inputs by name. A single array has the only one of `names`."""
    return inputs if isinstance(inputs, dict) else dict(zip(names, [inputs], strict=True))


def in_order(outputs: dict[str, Any]) -> list[Any]:
    """Return outputs in their order: by name, those of a dict; by number, `output_0`, `output_1`."""
    numbered = all(re.fullmatch(r"output_\d+", name) for name in outputs)
    names = sorted(outputs, key=lambda name: (len(name) if numbered else 0, name))
    return [outputs[name] for name in names]


def part(inputs: Any, begin: int, end: int) -> Any:
    """Return the examples from `begin` to `end`."""
    if isinstance(inputs, dict):
        return {name: array[begin:end] for name, array in inputs.items()}
    return inputs[begin:end]


def size(inputs: Any) -> int:
    """Return the number of examples."""
    return len(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs)


def milliseconds(call: Call, inputs: Any) -> float:
    """Return the median time of a call."""
    call(inputs)  # a warm-up
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < 10 or time.perf_counter() < end:
        begin = time.perf_counter()
        call(inputs)
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times)


def main(format: str, path: str, inputs_path: str, output_path: str, *module: str) -> None:
    """Run the model on all examples, time it, and write the results."""
    gc.disable()  # the imports make very many objects and no garbage, and a collection is no call
    with np.load(inputs_path) as arrays:
        inputs = {name.removeprefix("x/"): array for name, array in arrays.items()}
        inputs = inputs["x"] if "x" in arrays.files else inputs
    call = RUNTIMES[format](path, *module)
    batches = [call(part(inputs, first, first + BATCH)) for first in range(0, size(inputs), BATCH)]
    outputs = [np.concatenate(each) for each in zip(*batches, strict=True)]
    times = {f"milliseconds_{count}": milliseconds(call, part(inputs, 0, count)) for count in (1, BATCH)}
    np.savez(output_path, *outputs, **times)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
