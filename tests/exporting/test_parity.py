import numpy as np
import pytest

from kerasmlp.exporting import parity


def test_other_predictions_are_measured_and_are_an_error(exported, digits):
    images, labels = digits
    others = np.full((40, 3), [0.5, 0.3, 0.2], np.float32)
    path, _ = exported["onnx"]
    report = parity.measure("onnx", path, images, labels, others)
    assert report.accuracy_of_model == np.mean(labels == 0)
    assert report.equal_labels < 0.6
    assert report.largest_difference > 0.1
    for bound in (parity.EXACT, parity.ROUNDED):
        with pytest.raises(parity.ParityError, match="onnx: expected probabilities within"):
            report.check(bound)


def test_an_export_that_does_not_run_is_an_error(digits, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(parity.ParityError, match="expected an export that runs; received: "):
        parity.measure("onnx", tmp_path / "model.onnx", *digits, np.zeros((40, 3), np.float32))
