"""The export formats: their names, files and packages. Imports no TensorFlow."""

import importlib.util
from typing import Literal

FormatName = Literal["keras", "savedmodel", "litert", "litert-int8", "onnx"]

FILES: dict[FormatName, str] = {
    "keras": "model.keras",
    "savedmodel": "savedmodel",
    "litert": "model.tflite",
    "litert-int8": "model-int8.tflite",
    "onnx": "model.onnx",
}
"""The name of the file, or the folder, in each format."""

NEEDS: dict[FormatName, tuple[str, ...]] = {
    "litert": ("ai-edge-litert",),
    "litert-int8": ("ai-edge-litert",),
    "onnx": ("tf2onnx", "onnxruntime"),
}
"""The packages that write a format, or run it, beside TensorFlow."""


def check_installed(format: FormatName) -> None:
    """Check that the packages for `format` are there.

    Raises:
        ValueError: they are not; the message says how to install them.
    """
    packages = NEEDS.get(format, ())
    if not all(importlib.util.find_spec(package.replace("-", "_")) for package in packages):
        raise ValueError(
            f"--format {format} needs packages that are not installed: pip install {' '.join(packages)}"
        )
