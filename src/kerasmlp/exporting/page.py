"""Writes a page on which one draws a digit, and sees the handbook's MLP read it: one file of HTML.

The page is the folder `page` of this package, its scripts and its style put into the one file. What the
network is stands in it as JSON.
"""

import base64
import importlib.metadata
import json
import re
from importlib import resources
from pathlib import Path, PurePath
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kerasmlp.exporting.reasons import FormatError
from kerasmlp.exporting.served import Served
from kerasmlp.models import MLP, plain

FIRST, WRONG = 20, 10
"""The page shows the first test image of so many classes, and so many that it reads incorrectly."""


def write_page(served: Served, path: Path) -> None:
    """Write the page of a model to `path`, a new file.

    Raises:
        FormatError: the model is not the handbook's MLP, or takes no grey images.
        OSError: the file cannot be written.
    """
    path.write_text(_whole(_content(served)), encoding="utf-8")


def _whole(content: dict[str, Any]) -> str:
    """Return the page with all that it needs in it."""
    template = resources.files("kerasmlp.exporting") / "page"

    def file(name: str) -> str:
        return (template / name).read_text(encoding="utf-8")

    page = file("page.html")
    page = re.sub(
        r'<link rel="stylesheet" href="(.+?)">', lambda link: f"<style>\n{file(link[1])}</style>", page
    )
    page = re.sub(
        r'<script src="(.+?)"></script>', lambda link: f"<script>\n{file(link[1])}</script>", page
    )
    return page.replace(
        'type="application/json"></script>', f'type="application/json">{_json(content)}</script>'
    )


def _json(content: dict[str, Any]) -> str:
    """Return JSON in which no text can end the script that it stands in, or begin a comment."""
    text = json.dumps(content, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _content(served: Served) -> dict[str, Any]:
    """Return what the page is about: the model, what it was trained on, and some test images."""
    shape: tuple[int, ...] = () if isinstance(served.x, dict) else served.x.shape[1:]
    is_grey = len(shape) == 3 and shape[-1] == 1
    if not isinstance(served.model, MLP) or served.labels is None or not is_grey:
        raise FormatError(
            "html",
            "it shows the handbook's MLP on grey images, as kerasmlp.train makes it; this is"
            f" {type(served.model).__name__} on inputs {f'of shape {shape}' if shape else 'by name'}",
        )
    weights = _weights(served.model)
    by_model = served.probabilities(served.outputs).argmax(axis=1)
    return {
        "run": served.run,
        "data": PurePath(served.data).name,  # without the folders of whoever trained it
        "version": importlib.metadata.version("kerasmlp"),
        "height": shape[0],
        "width": shape[1],
        "accuracy": float(np.mean(by_model == served.labels)),
        "images": served.examples,
        "layers": [
            {"units": len(bias), "kernel": _packed(kernel, "<f4"), "bias": _packed(bias, "<f4")}
            for kernel, bias in zip(weights[::2], weights[1::2], strict=True)
        ],
        "examples": [
            {"label": int(served.labels[each]), "pixels": _packed(_bytes(served.x[each]), "u1")}
            for each in _chosen(served.labels, by_model)
        ],
    }


def _weights(model: MLP) -> list[NDArray[Any]]:
    """Return kernel and bias of each layer. Those of a quantized model are rounded."""
    standard: keras.Model = plain(model, ranges=False) if model.is_quantized else model
    return [np.asarray(variable) for variable in standard.trainable_variables]


def _chosen(labels: NDArray[Any], by_model: NDArray[Any]) -> list[int]:
    """Return the numbers of the test images that the page shows."""
    _, first = np.unique(labels, return_index=True)
    wrong = np.flatnonzero(labels != by_model)
    chosen = first[:FIRST].tolist()
    return chosen + [each for each in wrong[:WRONG].tolist() if each not in chosen]


def _bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an image as bytes, whose pixels may be from 0 to 1."""
    return image if image.dtype == np.uint8 else np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _packed(array: NDArray[Any], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode("ascii")
