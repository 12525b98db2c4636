import keras
import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from helpers import events
from kerasmlp.callbacks.stopwatch import Stopwatch
from kerasmlp.data.examples import Examples
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.pr_curves import PRCurves


def test_the_curves_are_those_of_the_trained_model_and_the_validation_examples(written, digits):
    """With an average of the weights, the averages are the weights of the trained model."""
    images, labels = digits
    probabilities = written.model.predict(images / np.float32(255), verbose=0)
    for number in range(3):
        curve = written.events["validation", f"pr/{number}/pr_curves"][12]
        of_class = probabilities[labels == number, number]
        thresholds = np.arange(201)[:, None] / 200
        assert curve[0].tolist() == (of_class >= thresholds).sum(axis=1).tolist(), "true positives"
        positive = probabilities[:, number] >= 0.5
        precision, recall = curve[4:, 100]
        assert precision == pytest.approx(precision_score(labels == number, positive, zero_division=0))
        assert recall == pytest.approx(recall_score(labels == number, positive))


@pytest.mark.parametrize(
    "loss, validated, epoch, curves",
    [
        ("sparse_categorical_crossentropy", True, 0, {"pr/0/pr_curves", "pr/1/pr_curves"}),
        ("sparse_categorical_crossentropy", True, 2, set()),
        ("sparse_categorical_crossentropy", False, 0, set()),
        ("mse", True, 0, set()),
    ],
    ids=["first epoch", "third epoch", "no validation", "numbers"],
)
def test_curves_are_written_if_there_are_classes_to_validate(loss, validated, epoch, curves, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Activation("linear")])
    model.compile("sgd", loss)
    files = Events(tmp_path)
    examples = Examples(np.full((3, 2), 2, np.float32), np.array([0, 1, 1]))
    shown = PRCurves(files, examples if validated else None, Stopwatch(1))
    shown.set_model(model)
    shown.on_epoch_end(epoch)
    files.close()
    assert {tag for _, tag in events(tmp_path)} == curves
