import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score


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
