import numpy as np
import pytest

import kerasmlp
from helpers import python
from kerasmlp.exporting import runtimes, writers


def run_without_kerasmlp(format, path, images, folder):
    """The predictions of an export in a process that cannot import kerasmlp."""
    np.save(folder / "images.npy", images)
    program = f"""
import runpy, sys
sys.modules["kerasmlp"] = None
sys.argv = ["", "{format}", "{path}", "images.npy", "out.npz"]
runpy.run_path("{runtimes.__file__}", run_name="__main__")
"""
    process = python("-P", "-c", program, cwd=folder)
    assert process.returncode == 0, process.stderr
    return np.load(folder / "out.npz")["probabilities"]


@pytest.mark.parametrize("format", ["litert", "litert-int8", "onnx"])
def test_an_export_runs_in_a_process_without_kerasmlp(format, exported, finished, digits, tmp_path):
    (folder, _), _ = finished
    path, _ = exported[format]
    found = run_without_kerasmlp(format, path, digits[0], tmp_path)
    expected = kerasmlp.load(folder)(digits[0] / np.float32(255))
    np.testing.assert_allclose(found, expected, atol=0.03 if format == "litert-int8" else 1e-5)


@pytest.mark.thorough
def test_a_savedmodel_runs_in_a_process_without_kerasmlp(finished, digits, tmp_path):
    (folder, _), _ = finished
    path = tmp_path / "savedmodel"
    writers.write(kerasmlp.load(folder), "savedmodel", path, None)
    found = run_without_kerasmlp("savedmodel", path, digits[0], tmp_path)
    expected = kerasmlp.load(folder)(digits[0] / np.float32(255))
    np.testing.assert_allclose(found, expected, atol=1e-6)
