import dataclasses

import numpy as np
import pytest

from kerasmlp.exporting import parity
from kerasmlp.exporting.reasons import FormatError


def test_other_predictions_are_measured_and_are_an_error(exported, served):
    others = [np.full((40, 3), [0.5, 0.3, 0.2], np.float32)]
    path, _ = exported["onnx"]
    report = parity.measure(dataclasses.replace(served, outputs=others), "onnx", path)
    assert report.accuracy_of_model == np.mean(served.labels == 0)
    assert report.equal_labels < 0.6
    assert report.largest_difference > 0.1
    for bound in (parity.EXACT, parity.ROUNDED):
        with pytest.raises(parity.ParityError, match="onnx: expected probabilities within"):
            report.check(bound)


def test_numbers_are_measured_by_hand(exported, served):
    """As if the model predicted numbers, 10 times its probabilities."""
    (probabilities,) = served.outputs
    numbers = 10 * probabilities
    path, _ = exported["onnx"]
    other = dataclasses.replace(served, outputs=[numbers], labels=None)
    report = parity.measure(other, "onnx", path)
    difference = numbers - probabilities
    assert report.largest_difference == pytest.approx(difference.max() / numbers.max(), rel=1e-4)
    assert report.variance_loss == pytest.approx((difference**2).mean() / numbers.var(), rel=1e-4)
    assert report.equal_labels is report.accuracy is report.accuracy_of_model is None
    with pytest.raises(parity.ParityError, match="onnx: expected outputs within 1 of the model's"):
        report.check(parity.ROUNDED)
    dataclasses.replace(report, variance_loss=0.009).check(parity.ROUNDED)
    with pytest.raises(parity.ParityError, match="within 1e-05"):
        dataclasses.replace(report, variance_loss=0.0).check(parity.EXACT)


def test_outputs_of_another_shape_are_an_error(exported, served):
    other = dataclasses.replace(served, outputs=[np.zeros((40, 4), np.float32)])
    with pytest.raises(parity.ParityError, match=r"shapes \[\(40, 4\)\]; received \[\(40, 3\)\]"):
        parity.measure(other, "onnx", exported["onnx"][0])


def test_an_export_that_does_not_run_is_an_error(served, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(FormatError, match=r"onnx: .*its runtime fails: (?!Traceback)\S"):
        parity.measure(served, "onnx", tmp_path / "model.onnx")


LABELS = {"equal_labels": 1.0, "accuracy": 0.97, "accuracy_of_model": 0.97}
NUMBERS = {"variance_loss": 0.0}
DRAWN = {**LABELS, "drawn_equal": 0, "drawn_certain": 100, "drawn_alike": 100}


@pytest.mark.parametrize(
    "bound, kind, inside, outside",
    [
        ("EXACT", LABELS, {"largest_difference": 0.99e-5}, {"largest_difference": 1.01e-5}),
        ("EXACT", LABELS, {"equal_labels": 1.0}, {"equal_labels": 0.999}),
        ("EXACT", LABELS, {"accuracy": 0.97}, {"accuracy": 0.969}),
        ("EXACT", NUMBERS, {"largest_difference": 0.99e-5}, {"largest_difference": 1.01e-5}),
        ("EXACT", DRAWN, {"drawn_alike": 99}, {"drawn_alike": 98}),
        (
            "EXACT",
            DRAWN,
            {"drawn_certain": 50, "drawn_alike": 50},
            {"drawn_certain": 50, "drawn_alike": 49},
        ),
        ("EXACT", DRAWN, {"drawn_certain": 0, "drawn_alike": 0}, {"drawn_certain": 1, "drawn_alike": 0}),
        ("ROUNDED", LABELS, {"largest_difference": 0.99}, {"largest_difference": 1.01}),
        ("ROUNDED", LABELS, {"equal_labels": 0.981}, {"equal_labels": 0.979}),
        ("ROUNDED", LABELS, {"accuracy": 0.961}, {"accuracy": 0.959}),
        ("ROUNDED", NUMBERS, {"variance_loss": 0.0099}, {"variance_loss": 0.0101}),
        ("ROUNDED", DRAWN, {"drawn_alike": 99}, {"drawn_alike": 98}),
    ],
)
def test_each_bound_is_where_it_is_said_to_be(bound, kind, inside, outside):
    plain = {"format": "html", "bytes": 1, "examples": 1000, "largest_difference": 0.0, **kind}
    times = {"milliseconds_1": 1.0, "milliseconds_1000": 1.0}
    parity.Parity(**{**plain, **inside}, **times).check(getattr(parity, bound))
    with pytest.raises(parity.ParityError, match="This export is not kept"):
        parity.Parity(**{**plain, **outside}, **times).check(getattr(parity, bound))
