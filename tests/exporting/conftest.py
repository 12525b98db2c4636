"""The exports of a run in the formats with a runtime that starts faster than TensorFlow."""

import pytest

from kerasmlp.exporting import Served, write_checked


@pytest.fixture(scope="session", autouse=True)
def shortly(timed_shortly):
    """All exports are timed for a moment."""


@pytest.fixture(scope="session")
def served(finished):
    (folder, _), _ = finished
    return Served.of_run(folder)


@pytest.fixture(scope="session")
def exported(export_extra, served, tmp_path_factory):
    """The path and the parity report of each export, by format."""
    output = tmp_path_factory.mktemp("exports")
    formats = "litert", "litert-int8", "onnx"
    return {format: write_checked(served, format, output) for format in formats}
