import keras
import numpy as np
import pytest
from keras import layers

from helpers import assert_same, compiled
from kerasmlp.data.examples import Examples


def dropout():
    return [
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(3, kernel_regularizer="l2"),
        layers.Softmax(),
    ]


@pytest.fixture
def model():
    return compiled(dropout)


def test_probabilities_are_the_predictions_of_the_model(model, digits, monkeypatch):
    monkeypatch.setattr("kerasmlp.data.examples.EXAMPLES_PER_CALL", 16)
    images, labels = digits
    found = Examples(images, labels).probabilities(model)
    assert found == pytest.approx(model.predict(images / np.float32(255), verbose=0), rel=1e-5)
    assert len(found) == len(images)


def test_loss_accuracy_and_gradients_are_those_of_the_evaluated_model(model, digits):
    images, labels = digits
    loss, accuracy, (kernel, bias) = Examples(images, labels).gradients(model)
    x = images / np.float32(255)
    evaluated = model.evaluate(x, labels, batch_size=40, return_dict=True, verbose=0)
    assert loss == pytest.approx(evaluated["loss"], rel=1e-5)
    assert accuracy == pytest.approx(evaluated["accuracy"])
    # The gradients of softmax with cross-entropy.
    error = model.predict(x, verbose=0) - np.eye(3)[labels]
    assert bias == pytest.approx(error.mean(axis=0), abs=1e-6)
    penalty = 2 * 0.01 * model.get_weights()[0]
    assert kernel == pytest.approx(x.reshape(40, -1).T @ error / 40 + penalty, abs=1e-6)


def test_results_are_computed_again_only_at_another_step(model, digits):
    examples = Examples(*digits)
    before = examples.probabilities(model), examples.gradients(model)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    assert examples.probabilities(model) is before[0]
    assert examples.gradients(model) is before[1]
    model.optimizer.iterations.assign_add(1)
    assert examples.gradients(model)[0] != before[1][0]
    assert not np.array_equal(examples.probabilities(model), before[0])


def test_computing_the_results_does_not_change_the_training(model, digits):
    images, labels = digits
    model.fit(images, labels, verbose=0)
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    before = [np.array(variable.numpy()) for variable in variables]
    examples = Examples(images, labels)
    examples.gradients(model)
    examples.probabilities(model)
    assert_same([variable.numpy() for variable in variables], before)


def test_an_unused_variable_has_a_gradient_of_zero(digits):
    @keras.saving.register_keras_serializable(package="test")
    class Idle(layers.Layer):
        def build(self, shape):
            self.unused = self.add_weight(shape=(2,), name="unused")

        def call(self, x):
            return x

    model = compiled(lambda: [layers.Flatten(), Idle(), layers.Dense(3), layers.Softmax()])
    gradients = Examples(*digits).gradients(model)[2]
    assert gradients[0].tolist() == [0, 0]
    assert gradients[1].any()
