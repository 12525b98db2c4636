import json
import types

import keras
import numpy as np
import pytest

from kerasmlp.data import Parts
from kerasmlp.runs import evaluation
from kerasmlp.runs.evaluation import BINS, _figure, evaluate, measure


def test_by_hand():
    """Three classes; the second is called the first once, the third never occurs and is called once."""
    probabilities = np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0.2, 0.8, 0], [0.1, 0.3, 0.6]])
    result = measure(probabilities, np.array([0, 1, 1, 0]))
    assert result.accuracy == 0.5
    assert result.confusion == [[1, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert result.precision == [0.5, 1.0, 0.0]
    assert result.recall == [0.5, 0.5, 0.0]
    assert result.f1 == pytest.approx([0.5, 2 / 3, 0.0])
    assert result.support == [2, 2, 0]
    # 0.9 and 0.8 are right, the two 0.6 are wrong; each probability in a bin of its own.
    assert result.calibration_error == pytest.approx((0.1 + 0.2 + 2 * 0.6) / 4)


def test_the_calibration_error_is_that_of_its_definition():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(4), 500)
    labels = random.integers(4, size=500)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for first in range(BINS):
        inside = (confidence >= first / BINS) & (confidence < (first + 1) / BINS)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert measure(probabilities, labels).calibration_error == pytest.approx(expected)


def test_sure_and_right_is_calibrated():
    labels = np.arange(10)
    result = measure(np.eye(10), labels)
    assert (result.accuracy, result.calibration_error) == (1.0, 0.0)
    assert result.calibration[-1] == (10, 1.0, 1.0)


def test_the_bins_are_of_equal_width_and_the_last_one_has_certainty():
    """Two classes: 0.5 is in the eighth of 15 bins, 0.6 begins the tenth."""
    probabilities = np.array([[0.5, 0.5], [0.6, 0.4], [0.375, 0.625], [1, 0], [0.0625, 0.9375]])
    result = measure(probabilities, np.array([0, 0, 0, 0, 1]))
    bins = {index: found for index, found in enumerate(result.calibration) if found[0]}
    assert bins == {7: (1, 0.5, 1.0), 9: (2, 0.6125, 0.5), 14: (2, 0.96875, 1.0)}
    assert len(result.calibration) == 15
    assert result.calibration[0] == (0, 0.0, 0.0)
    assert result.calibration_error == pytest.approx((0.5 + 2 * 0.1125 + 2 * 0.03125) / 5)
    assert (result.examples, result.support) == (5, [4, 1])


def test_the_figure_shows_errors_and_calibration():
    probabilities = np.array([[0.9, 0.1], [0.75, 0.25], [0.25, 0.75], [0.1, 0.9]])
    left, right = _figure(measure(probabilities, np.array([0, 1, 1, 1]))).axes
    assert left.images[0].get_array().tolist() == [[0, 0], [1, 0]]
    assert left.get_title() == "errors, of 4"
    assert right.get_title() == "calibration error 0.1750"
    assert right.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]
    points = right.collections[0].get_offsets().tolist()
    assert points == [[0.75, 0.5], [pytest.approx(0.9), 1.0]]
    assert (right.get_xlim(), right.get_ylim()) == ((0, 1), (0, 1))
    assert (right.get_xlabel(), right.get_ylabel()) == (
        "probability of the class",
        "share that is correct",
    )


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    """Evaluates a model of three outputs on five examples; returns the result, and what was asked."""

    def evaluated(loss, *given, y=(0, 1, 2, 0, 1)):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Activation("softmax")])
        model.compile("sgd", loss, metrics=["accuracy"], jit_compile=False)
        test = Parts.of(np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 0]], np.array(y))
        source = types.SimpleNamespace(test=test, are_images=False, name="found")
        asked = []

        def load_with_data(*given):
            asked.append(given)
            return model, source

        monkeypatch.setattr(evaluation, "load_with_data", load_with_data)
        return evaluate(tmp_path, *given), asked

    return evaluated


def test_a_run_of_classes_is_evaluated_in_a_file_and_a_figure(evaluated, tmp_path, capsys):
    found, asked = evaluated("sparse_categorical_crossentropy", "x.npz", True)
    assert asked == [(tmp_path, "x.npz", True)]
    assert (found.data, found.classes.accuracy, found.classes.support) == ("found", 0.8, [2, 2, 1])
    assert found.metrics.keys() == {"loss", "accuracy"}
    assert found.metrics["accuracy"] == pytest.approx(0.8)
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written["metrics"] == found.metrics
    assert (written["data"], written["confusion"]) == ("found", found.classes.confusion)
    assert (tmp_path / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == ""


def test_a_model_of_no_classes_has_its_metrics(evaluated, tmp_path):
    found, asked = evaluated("mse", y=np.zeros((5, 3)))
    assert asked == [(tmp_path, None, False)]
    assert found.classes is None
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written == {"metrics": found.metrics, "data": "found"}
    assert not (tmp_path / "evaluation.png").exists()
