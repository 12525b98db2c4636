"""What a loop changes outside of its steps is said, with the cause if it is known."""

import keras
import numpy as np
import pytest

import kinds
from evidence import assert_close
from kerasmlp.comparison import outside
from kerasmlp.comparison.reference import Reference, restore, state
from kerasmlp.data import Batches

CHANGED = "the loop changes the state outside its steps: "


class Scene:
    """A model with dropout and batch normalisation that no step has changed, and its data."""

    def __init__(self, optimizer=None, validation=False):
        x, y = kinds.data_of(kinds.subclass)
        self.train = Batches(x, y, 8, seed=3)
        self.model = model = kinds.subclass(optimizer)
        model(x[:8])
        model.optimizer.build(model.trainable_variables)
        validation = Batches(x[:5], y[:5], 5, seed=4).epoch(0) if validation else None
        self.reference = Reference(model, validation=validation)
        self.expected = state(model)

    def after(self, *batches):
        """The state after forward passes with training=True."""
        restore(self.model, self.expected)
        for x, _ in batches:
            self.model(x, training=True)
        return state(self.model)

    def changed(self, path, by):
        number = next(n for n, each in enumerate(self.reference.paths) if each.endswith(path))
        found = [value.copy() for value in self.expected]
        found[number] = found[number] + np.float32(by)
        return found, self.reference.paths[number]

    def divergence(self, found, step=3, compared=None):
        return outside.divergence(self.reference, self.train, self.expected, found, step, compared)


def test_a_weight_that_is_changed_between_two_steps():
    scene = Scene()
    found, path = scene.changed("/kernel", 0.25)
    divergence = scene.divergence(found)
    assert divergence.step == 4
    assert divergence.what == f"{path}, changed between the steps 3 and 4,"
    assert (divergence.size, divergence.bound) == (pytest.approx(0.25), 0.0)
    assert divergence.cause == CHANGED + path
    assert scene.divergence(found, step=0).what == f"{path}, changed before the first step,"
    assert scene.divergence(found, step=0).step == 1


def test_only_what_is_compared_counts():
    scene = Scene()
    found, rate = scene.changed("learning_rate", 1.0)
    found[0] = found[0] + 1
    weights = len(scene.model.variables)
    assert scene.divergence(found).cause == "another learning rate: 1.01, not 0.01"
    assert scene.divergence(found, compared=weights).cause == CHANGED + scene.reference.paths[0]
    assert rate == scene.reference.paths[weights + 1]


@pytest.mark.parametrize("validation", [False, True])
def test_a_forward_pass_with_training_is_told_by_its_batches(validation):
    scene = Scene(validation=validation)
    of_train = scene.after(scene.train.first_batch())
    assert scene.divergence(of_train).cause == (
        "the model is called with training=True outside of its steps: statistics or seeds move"
    )
    for size, is_told in ((8e-8, True), (2e-7, False)):
        nearly = [value.copy() for value in of_train]
        bias = next(n for n, path in enumerate(scene.reference.paths) if path.endswith("/bias"))
        nearly[bias] = nearly[bias] + np.float32(size)  # it was 0
        assert scene.divergence(nearly).cause.startswith("the model is called") == is_told
    others = Batches(*(part[20:25] for part in kinds.data_of(kinds.subclass)), 5, seed=4).epoch(0)
    of_others = scene.after(*others)
    assert scene.divergence(of_others).cause.startswith(CHANGED)
    if validation:
        of_validation = scene.after(*scene.reference.validation)
        assert scene.divergence(of_validation).cause == (
            "validation changes the state: it calls the model with training=True"
        )


def test_a_model_that_cannot_be_called_has_a_cause_too():
    """What it changed before its error does not count."""

    def fails(x, training):
        scene.model(x, training=training)
        raise RuntimeError("not like this")

    scene = Scene()
    moved = scene.after(scene.train.first_batch())
    scene.reference.model = fails
    found, path = scene.changed("/kernel", 0.25)
    assert scene.divergence(found).cause == CHANGED + path
    assert_close(state(scene.model), scene.expected)
    assert scene.divergence(moved).cause.startswith(CHANGED)


def at_the_end(scene, expected, last, found, compared=None):
    return outside.after_the_last_step(scene.reference, scene.train, expected, last, found, 12, compared)


def test_an_end_that_is_right_within_rounding():
    scene = Scene()
    expected = scene.expected
    nearly = [value * (1 + 5e-7) if value.dtype.kind == "f" else value for value in expected]
    assert at_the_end(scene, expected, expected, nearly) is None
    slightly = [value * (1 + 5e-6) if value.dtype.kind == "f" else value for value in expected]
    assert at_the_end(scene, expected, expected, slightly) is not None
    for size, is_right in ((8e-8, True), (2e-7, False)):
        tiny, _ = scene.changed("/bias", size)  # it was 0
        assert (at_the_end(scene, expected, expected, tiny) is None) == is_right
    found, path = scene.changed("/kernel", 1e-3)
    divergence = at_the_end(scene, expected, expected, found)
    assert (divergence.step, divergence.what) == (12, f"{path}, changed at the end of training,")
    assert at_the_end(scene, expected, expected, found, compared=0) is None


def test_an_average_of_the_weights_that_is_left_out():
    scene = Scene(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    expected, path = scene.changed("/kernel", 0.5)  # what the average would be
    expected[-1] = expected[-1] + 0.25  # another average
    nothing = np.zeros(0, np.float32)  # a variable without numbers
    last = [*scene.expected, nothing]
    divergence = at_the_end(scene, [*expected, nothing], last, last)
    assert (divergence.step, divergence.what) == (12, f"{path}, at the end of training,")
    assert (divergence.size, divergence.bound) == (pytest.approx(0.5), 1e-7)
    assert divergence.cause == (
        "EMA is not finalised: optimizer.finalize_variable_values is not called at the end"
    )
