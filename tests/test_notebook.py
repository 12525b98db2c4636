"""The package in a real kernel, as a notebook runs it."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

TRAIN = """
def stop(epoch, logs):
    if epoch == 2:
        os.kill(os.getpid(), signal.SIGINT)  # what "interrupt the kernel" does

def train(*callbacks):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(200, 4))
    given = {"epochs": 5, "run": "mine", "resume": True, "callbacks": callbacks}
    return kerasmlp.fit(model, x, x.sum(axis=1), **given)
"""
CELLS = [
    "import os, signal, kerasmlp, keras, numpy as np",
    TRAIN,
    "train(keras.callbacks.LambdaCallback(on_epoch_end=stop))",
    "train().history",
]


def run(notebook, folder):
    """The outputs of each cell of code."""
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=300, allow_errors=True, resources=resources).execute()
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def said(outputs, name):
    return "".join(output.text for output in outputs if output.get("name") == name)


def test_the_handbook_runs_and_shows_a_comparison_as_tables_and_a_figure(tmp_path):
    path = Path(__file__).parents[1] / "notebooks/handbook.ipynb"
    shown = [output for cell in run(nbformat.read(path, as_version=4), tmp_path) for output in cell]
    assert [output for output in shown if output.output_type == "error"] == []
    pages = [output.data["text/html"] for output in shown if output.output_type == "execute_result"]
    assert len(pages) == 4
    assert "too fast diverges" in pages[1]
    assert all("<img" in page for page in pages)
    others = [output for output in shown if output.output_type != "execute_result"]
    assert not any("Agreement, within" in str(output) for output in others), "shown twice"


def test_an_interrupted_kernel_has_saved_and_says_how_to_go_on(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, CELLS)))
    imported, _, interrupted, resumed = run(notebook, tmp_path)
    assert imported == [], "TensorFlow's log would be red"
    (error,) = (output for output in interrupted if output.output_type == "error")
    how = "kerasmlp.fit(..., run='mine', resume=True)"
    assert "\n".join(error.traceback) == f"interrupted after step 21; to resume: {how}"
    progress = said(interrupted, "stdout")
    assert "epoch 3/5  loss " in progress and "\r" in progress
    assert "epoch" not in said(interrupted, "stderr")
    assert "resuming after step 21 of 35" in said(resumed, "stderr")
    (history,) = (output.data["text/plain"] for output in resumed if "data" in output)
    assert len(eval(history)["loss"]) == 5
