"""When a training is said to have diverged."""

import math

import keras
import numpy as np
import pytest

from kerasmlp.data import Batches
from kerasmlp.runs.divergence import warn_of_divergence

X, Y = np.zeros((50, 4), np.float32), np.zeros(50, np.int64)
TRAIN = Batches(X, Y, 1, are_images=False)
"""Of 50 steps an epoch."""
GUESSING = math.log(3)
CROSS_ENTROPY = "sparse_categorical_crossentropy"


def model(shape=(4,), classes=3, loss=CROSS_ENTROPY, rate=0.5, **layer):
    made = keras.Sequential([keras.Input(shape), keras.layers.Dense(classes, **layer)])
    made.compile(keras.optimizers.SGD(rate), loss, jit_compile=False)
    return made


@pytest.fixture
def told(capsys):
    """Returns what is printed of a model whose epochs have the given losses."""

    def told(of, *losses, train=TRAIN, rate=None):
        warn_of_divergence(of, train, {"loss": list(losses)} if losses else {}, rate)
        return capsys.readouterr().err

    return told


def test_the_warning_names_the_loss_that_of_guessing_and_a_smaller_rate(told):
    assert told(model(), 1.0, 3.0) == (
        "warning: the training has diverged: the loss of the last epoch is 3, with a learning rate of"
        " 0.5; guessing one of 3 classes gives 1.099; try a smaller learning rate, such as 0.001\n"
    )


@pytest.mark.parametrize(
    "of_model, given, said",
    [
        (0.005, None, "rate of 0.005; guessing one of 3 classes gives 1.099; try a smaller learning"),
        (0.005, None, "learning rate, such as 0.0005\n"),
        (0.005, 0.02, "with a learning rate of 0.02; guessing"),
        (keras.optimizers.schedules.CosineDecay(0.1, 5), None, "is 9; guessing one of 3"),
        (keras.optimizers.schedules.CosineDecay(0.1, 5), None, "try a smaller learning rate\n"),
    ],
)
def test_the_rate_is_the_one_given_or_that_of_the_optimizer(of_model, given, said, told):
    assert said in told(model(rate=of_model), 9.0, rate=given)


def test_without_an_optimizer_no_rate_is_named(told):
    of = model()
    of.optimizer = None
    assert told(of, 9.0).endswith(
        "is 9; guessing one of 3 classes gives 1.099; try a smaller learning rate\n"
    )


@pytest.mark.parametrize(
    "losses, said",
    [
        ([9.0, GUESSING], None),
        ([9.0, 0.1], None),
        ([], None),
        ([1.2], None),  # after 50 steps, it may only have been too short
        ([0.1, 1.2], "has diverged, or learns nothing: "),
        ([2 * GUESSING], None),
        ([0.1, 2 * GUESSING], "has diverged, or learns nothing: "),
        ([2.2], "has diverged: "),
        ([0.1, 2.2], "has diverged: "),
    ],
)
def test_after_few_steps_only_a_loss_far_above_that_of_guessing_is_told(losses, said, told):
    line = told(model(), *losses)
    assert (f"warning: the training {said}" in line) if said else line == ""


@pytest.mark.parametrize("steps, is_told", [(99, False), (100, True)])
def test_a_hundred_steps_are_not_few(steps, is_told, told):
    x = np.zeros((steps, 4), np.float32)
    batches = Batches(x, np.zeros(steps, np.int64), 1, are_images=False)
    assert bool(told(model(), 1.2, train=batches)) == is_told


class Own(keras.Model):
    """Its shapes are not known before it is called."""

    def __init__(self, **known):
        super().__init__()
        vars(self).update(known)
        self.compile("sgd", CROSS_ENTROPY, jit_compile=False)


def two_outputs():
    x = keras.Input((4,))
    made = keras.Model(x, [keras.layers.Dense(3)(x), keras.layers.Dense(3)(x)])
    made.compile("sgd", [CROSS_ENTROPY] * 2, jit_compile=False)
    return made


@pytest.mark.parametrize(
    "make, classes",
    [
        (lambda: model(classes=2), 2),
        (lambda: model(loss=keras.losses.CategoricalCrossentropy(from_logits=True)), 3),
        (lambda: model((7, 4)), 3),  # a class for each part of a sequence
        (lambda: model(classes=1), None),
        (lambda: model(loss="mse"), None),
        (lambda: model(loss="binary_crossentropy"), None),
        (lambda: model(kernel_regularizer="l2"), None),
        (two_outputs, None),
        (Own, None),
        (lambda: Own(classes=4), 4),
        (lambda: Own(classes=1), None),
    ],
)
def test_only_a_plain_cross_entropy_of_classes_is_compared(make, classes, told):
    line = told(make(), 9.0)
    assert (
        (f"guessing one of {classes} classes gives {math.log(classes):.4g};" in line)
        if classes
        else line == ""
    )


def test_weights_of_examples_change_the_loss_so_that_nothing_is_told(told):
    assert told(model(), 9.0, train=Batches(X, Y, 1, sample_weight=np.ones(50), are_images=False)) == ""
