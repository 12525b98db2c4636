"""Run an export in the runtime of its format: `python runtimes.py FORMAT MODEL INPUTS OUTPUT [MODULE]`.

INPUTS is an `.npz` file with the array `x`, or with an array `x/NAME` for each input. The script writes
OUTPUT, an `.npz` file: the arrays `arr_0`, `arr_1`, ..., one for each output, and `milliseconds_1` and
`milliseconds_1000`, the median times of a call with the first example and with the first 1,000. For a
page, INPUTS also has `strokes`, digits drawn with a pen, as JSON; OUTPUT then has what `Page.drawn`
returns. The script ends with status 69 if there is nothing to run the export with, and says why.

It does not import kerasmlp, except for a `.keras` file, which may contain a class that kerasmlp
registers, or MODULE.
"""

import base64
import contextlib
import gc
import importlib
import json
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[Any], list[Any]]
"""Takes an array `[batch, ...]`, or a dict of arrays by name. Returns arrays `[batch, ...]`."""
BATCH = 1000
"""Number of examples in a call."""
SECONDS = 0.5
"""Calls are timed for at least this long, and at least ten times."""
UNAVAILABLE = 69
"""The exit status if there is nothing to run the export with: EX_UNAVAILABLE of sysexits.h."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "microsoft-edge")
HOW_TO_GET_A_BROWSER = "pip install playwright && python -m playwright install chromium"


class UnavailableError(Exception):
    """There is nothing to run an export with."""


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


class Page:
    """A page in a browser, as Playwright has it. Its own functions are called."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def __call__(self, images: Any) -> list[Any]:
        """Return the probabilities of images, `[batch, classes]`."""
        pixels = images / np.float32(255) if images.dtype == np.uint8 else images
        text = base64.b64encode(pixels.astype("<f4").tobytes()).decode("ascii")
        script = """([text, size]) => {
            const all = Array.from(floats(text));
            return Array.from({ length: all.length / size }, (_, each) =>
                forward(layers, all.slice(each * size, (each + 1) * size))[last].values);
        }"""
        found = self.page.evaluate(script, [text, pixels[0].size])
        return [np.array(found, np.float32)]

    def drawn(self, digits: list[Any]) -> dict[str, Any]:
        """Draw digits on the paper of the page, and let the page read them.

        Returns:
            `pictures`: the paper, ink from 0 to 255, `[digits, side, side]`; `drawn`: the probabilities,
            `[digits, classes]`.
        """
        script = """digit => {
            const picture = inkOf(SIDE, SIDE, (context) => paint(context, digit, "black"));
            const bytes = Array.from(picture, (ink) => String.fromCharCode(Math.round(255 * ink)));
            const { values } = forward(layers, prepared(digit, height, width))[last];
            return [SIDE, btoa(bytes.join("")), values];
        }"""
        found = [self.page.evaluate(script, digit) for digit in digits]
        pictures = [
            np.frombuffer(base64.b64decode(picture), np.uint8).reshape(side, side)
            for side, picture, _ in found
        ]
        return {"pictures": np.stack(pictures), "drawn": np.array([each for *_, each in found])}


def html(path: str) -> Page:
    """Return a page in a browser without a window and without a network."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise UnavailableError(f"Playwright is not installed; {HOW_TO_GET_A_BROWSER}") from None
    page = chromium(sync_playwright().start()).new_context(offline=True).new_page()
    page.goto(Path(path).absolute().as_uri())
    return Page(page)


def chromium(playwright: Any, **options: Any) -> Any:
    """Start Playwright's own Chromium, or the Chrome, Edge or Chromium that the system has."""
    paths = filter(None, map(shutil.which, BROWSERS))
    for where in (
        {},
        *({"channel": name} for name in ("chrome", "msedge")),
        *({"executable_path": path} for path in paths),
    ):
        with contextlib.suppress(Exception):  # Playwright has no class for a browser that there is not
            return playwright.chromium.launch(**where, **options)
    raise UnavailableError(f"there is no Chromium, Chrome or Edge; {HOW_TO_GET_A_BROWSER}")


RUNTIMES: dict[str, Callable[..., Call]] = {
    "keras": keras,
    "savedmodel": savedmodel,
    "litert": litert,
    "litert-int8": litert,
    "onnx": onnx,
    "html": html,
}


def by_name(inputs: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return inputs by name. A single array has the only one of `names`."""
    return inputs if isinstance(inputs, dict) else dict(zip(names, [inputs], strict=True))


def in_order(outputs: dict[str, Any]) -> list[Any]:
    """Return outputs in their order: by name, those of a dict; by number, `output_0`, `output_1`."""
    numbered = all(re.fullmatch(r"output_\d+", name) for name in outputs)
    names = sorted(outputs, key=(lambda name: (len(name), name)) if numbered else None)
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
    gc.disable()  # the imports make very many objects and no garbage
    with np.load(inputs_path) as arrays:
        inputs = {name.removeprefix("x/"): array for name, array in arrays.items()}
    strokes = inputs.pop("strokes", None)
    inputs = inputs["x"] if set(inputs) == {"x"} else inputs
    call = RUNTIMES[format](path, *module)
    batches = [call(part(inputs, first, first + BATCH)) for first in range(0, size(inputs), BATCH)]
    outputs = [np.concatenate(each) for each in zip(*batches, strict=True)]
    times = {f"milliseconds_{count}": milliseconds(call, part(inputs, 0, count)) for count in (1, BATCH)}
    drawn = {} if strokes is None else call.drawn(json.loads(str(strokes)))  # type: ignore[attr-defined]
    np.savez(output_path, *outputs, **times, **drawn)  # type: ignore[arg-type]


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except UnavailableError as error:
        print(error, file=sys.stderr)
        sys.exit(UNAVAILABLE)
