"""The export formats: their names, files and packages. Imports no TensorFlow."""

import importlib.util
from typing import Literal

FormatName = Literal["keras", "savedmodel", "litert", "litert-int8", "onnx", "html"]

FILES: dict[FormatName, str] = {
    "keras": "model.keras",
    "savedmodel": "savedmodel",
    "litert": "model.tflite",
    "litert-int8": "model-int8.tflite",
    "onnx": "model.onnx",
    "html": "model.html",
}
"""The name of the file, or of the folder, of each format."""

PACKAGES: dict[FormatName, tuple[str, ...]] = {
    "litert": ("ai-edge-litert",),
    "litert-int8": ("ai-edge-litert",),
    "onnx": ("tf2onnx", "onnxruntime"),
}
"""The packages that a format needs, in addition to TensorFlow, to be written and run."""


def check_installed(format: FormatName) -> None:
    """Raise a ValueError, which says how to install them, if packages for a format are missing."""
    packages = PACKAGES.get(format, ())
    if not all(importlib.util.find_spec(package.replace("-", "_")) for package in packages):
        raise ValueError(
            f"--format: {format} needs packages that are not installed; install them with:"
            f" pip install {' '.join(packages)}"
        )
