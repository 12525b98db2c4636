"""The exports of a run in the formats with a runtime that starts faster than TensorFlow."""

import pytest

from kerasmlp.exporting import write_checked
from kerasmlp.runs import load_with_data


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """The path and the parity report of each export, by format."""
    (folder, _), _ = finished
    model, data = load_with_data(folder)
    output = tmp_path_factory.mktemp("exports")
    formats = "litert", "litert-int8", "onnx"
    return {format: write_checked(model, data, format, output) for format in formats}
