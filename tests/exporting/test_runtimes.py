import numpy as np
import pytest

from helpers import python
from kerasmlp.exporting import runtimes, writers


def run_without_kerasmlp(format, path, images, folder):
    """The predictions of an export in a process that cannot import kerasmlp."""
    np.savez(folder / "inputs.npz", x=images)
    program = f"""
import runpy, sys
sys.modules["kerasmlp"] = None
sys.argv = ["", "{format}", "{path}", "inputs.npz", "out.npz"]
runpy.run_path("{runtimes.__file__}", run_name="__main__")
"""
    process = python("-P", "-c", program, cwd=folder)
    assert process.returncode == 0, process.stderr
    return np.load(folder / "out.npz")["arr_0"]


@pytest.mark.parametrize("format", ["litert", "litert-int8", "onnx"])
def test_an_export_runs_in_a_process_without_kerasmlp(format, exported, served, tmp_path):
    path, _ = exported[format]
    found = run_without_kerasmlp(format, path, served.x, tmp_path)
    expected = served.model.predict(served.x / np.float32(255), verbose=0)
    np.testing.assert_allclose(found, expected, atol=0.03 if format == "litert-int8" else 1e-5)


@pytest.mark.thorough
def test_a_savedmodel_runs_in_a_process_without_kerasmlp(served, tmp_path):
    path = tmp_path / "savedmodel"
    writers.write(served, "savedmodel", path)
    found = run_without_kerasmlp("savedmodel", path, served.x, tmp_path)
    expected = served.model.predict(served.x / np.float32(255), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
