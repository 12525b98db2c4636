import json
import re

import numpy as np
import pytest
from sklearn.metrics import classification_report

import kerasmlp
from kerasmlp.data.loader import MNISTLoader
from kerasmlp.evaluate import main


def test_what_is_written_is_what_scikit_learn_says_of_the_saved_model(finished, capsys):
    (folder, metrics), data = finished
    assert main([str(folder)]) == 0
    written = json.loads((folder / "evaluation.json").read_text())
    loader = MNISTLoader(str(data))
    probabilities = kerasmlp.load(folder).predict(loader.test_data / np.float32(255), verbose=0)
    expected = classification_report(
        loader.test_label, probabilities.argmax(axis=1), output_dict=True, zero_division=0.0
    )
    for number in range(3):
        for name, ours in (("precision", "precision"), ("recall", "recall"), ("f1-score", "f1")):
            assert written[ours][number] == pytest.approx(expected[str(number)][name])
    assert written["accuracy"] == pytest.approx(metrics["test_accuracy"])
    assert np.sum(written["confusion"]) == len(loader.test_label)
    assert (folder / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"test accuracy: {metrics['test_accuracy']:f}"
    assert f"data: {data}" in lines
    assert f"expected calibration error: {written['calibration_error']:.4f}" in lines
    assert f"written: {folder / 'evaluation.json'}, {folder / 'evaluation.png'}" in lines
    tables = [re.findall(r"[\d.,]+", line) for line in lines if "│" in line]
    assert ["0", *map(str, written["confusion"][0])] in tables
    scores = [f"{written[name][0]:.4f}" for name in ("precision", "recall", "f1")]
    assert ["0", *scores, str(sum(written["confusion"][0]))] in tables


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "RUN: expected a value; received none"),
        (["."], "expected the folder of a finished run; . has no model.keras"),
        (["nowhere"], "nowhere"),
        (["{run}", "--data", "mnist5k"], "expected images of shape (6, 6, 1), as the model takes them"),
        (["{run}", "--data", "none.npz"], "which does not exist"),
    ],
)
def test_wrong_input_is_one_line(flags, message, finished, capsys):
    (folder, _), _ = finished
    assert main([flag.format(run=folder) for flag in flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
