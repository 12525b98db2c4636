"""Each known mistake from the gradients to the weights is the step that somebody takes who makes it."""

import math
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.optimizers import SGD, Adam, LossScaleOptimizer, RMSprop

import kinds
from evidence import Scene, assert_close, assert_differs
from kerasmlp.comparison.reference import restore, state
from kerasmlp.comparison.wrong_updates import (
    EPSILONS,
    _equal,
    _median_ratio,
    _rounded,
    _update_ratio,
    with_other_updates,
)

DENSE = (
    "the gradient of an Embedding is applied as a dense tensor, which Keras' optimizer squares"
    " after the sum over equal ids"
)
TWICE = "each update is applied twice"


def scene_of(optimizer=None, make=kinds.plain):
    return Scene(lambda: make(optimizer), kinds.data_of(make))


def after(scene, **evidence):
    """The states by the name of the mistake; the two that are always tried are left out."""
    found = scene.all_after(with_other_updates(scene.evidence(**evidence)))
    assert_close(found.pop(DENSE)[0], scene.expected)  # without an Embedding, it is the right step
    found.pop(TWICE)
    return {name: found[name][0] for name in found}


def by(scene, change):
    """The state after a step with changed gradients."""
    return scene.trained(scene.right_loss, change=change)


def test_a_right_step_points_to_no_mistake_but_clipping_that_clips_nothing():
    scene = scene_of()
    for name, found in after(scene).items():
        assert name.startswith("gradients are clipped by value")
        np.testing.assert_allclose(found[0], scene.expected[0], atol=1e-3)


def test_each_update_is_applied_twice():
    scene = scene_of(SGD(0.1, momentum=0.9))
    model = scene.model
    restore(model, scene.before)
    with tf.GradientTape() as tape:
        loss = scene.right_loss(scene.batch[1], model(scene.batch[0], training=True), None)
    gradients = tape.gradient(loss, model.trainable_variables)
    for _ in range(2):
        model.optimizer.apply(gradients, model.trainable_variables)
    twice = state(model)
    (found,) = scene.all_after(with_other_updates(scene.evidence()))[TWICE]
    assert_close(found, twice)
    assert_differs(found, scene.expected)


# What the update says of the gradients.


@pytest.mark.parametrize(
    "right, received, ratio",
    [
        ([1.0, -0.6, 0.5, 0.0], [2.0, -1.2, 9.0, 9.0], 2.0),
        ([-1.0, 0.9, 0.8], [1.0, 0.9, 4.0], 1.0),
        ([-2.0], [1.0], -0.5),
        ([0.0, 0.0], [1.0, 1.0], math.nan),
        ([], [], math.nan),
    ],
)
def test_a_ratio_is_the_median_over_the_larger_numbers(right, received, ratio):
    found = _median_ratio(np.array(right), np.array(received))
    assert found == pytest.approx(ratio, nan_ok=True)
    old = np.full(len(right), 3.0)
    changes = [(None, old, old + right, old + received)]
    if len(right):
        evidence = types.SimpleNamespace(changes=lambda: iter(2 * changes))
        assert _update_ratio(evidence) == pytest.approx(ratio, nan_ok=True)
    assert math.isnan(_update_ratio(types.SimpleNamespace(changes=lambda: iter(()))))


def test_a_measured_number_has_few_digits():
    assert (_rounded(0.123456), _rounded(0.123456, 2), _rounded(123456.0)) == (0.1235, 0.12, 123500.0)


@pytest.mark.parametrize(
    "optimizer, factor, name",
    [
        (SGD(0.1), 0.5, "0.5"),
        (SGD(0.1), 8.0, "8"),
        (SGD(0.1), 1.234, "1.234"),
        (SGD(0.1, momentum=0.9), 1 / 3, "1/3"),
        (Adam(0.01), 0.99, "0.99"),
        (RMSprop(0.01), 1 / 7, "1/7"),
    ],
    ids=lambda each: type(each).__name__ if hasattr(each, "learning_rate") else None,
)
def test_gradients_times_a_factor(optimizer, factor, name):
    scene = scene_of(optimizer)
    received = by(scene, lambda gradients: [factor * each for each in gradients])
    found = after(scene, received=received)
    assert_close(found[f"the gradients are {name} times the right ones"], received)
    assert_differs(received, scene.expected)


def test_a_measured_factor_has_as_few_digits_as_explain_it():
    """Half precision measures with an error of a thousandth."""
    scene = scene_of()
    for factor, name in ((0.7003, "0.7"), (0.71234, "0.712"), (0.12349, "0.1235")):
        received = by(scene, lambda gradients, factor=factor: [factor * each for each in gradients])
        assert f"the gradients are {name} times the right ones" in after(scene, received=received)
    received = by(scene, lambda gradients: [1.00005 * each for each in gradients])
    assert not any("times" in name for name in after(scene, received=received))


def clipped_names(scene, received):
    return {name: found for name, found in after(scene, received=received).items() if "clip" in name}


def norms(scene):
    """The norms of the right gradients."""
    found = {}

    def note(gradients):
        found["each"] = [float(tf.norm(each)) for each in gradients]
        found["largest"] = max(float(tf.reduce_max(tf.abs(each))) for each in gradients)
        return gradients

    by(scene, note)
    return found


CLIPPED = {
    "by global norm {:g}": (
        lambda found: math.hypot(*found["each"]) / 3,
        lambda gradients, clip: tf.clip_by_global_norm(gradients, clip)[0],
    ),
    "by norm {:g}, variable by variable": (
        lambda found: sorted(found["each"])[1],
        lambda gradients, clip: [tf.clip_by_norm(each, clip) for each in gradients],
    ),
    "by value {:g}": (
        lambda found: found["largest"] / 4,
        lambda gradients, clip: [tf.clip_by_value(each, -clip, clip) for each in gradients],
    ),
}
"""How gradients are clipped: where, given their norms, and by what."""


@pytest.mark.parametrize("how", CLIPPED)
@pytest.mark.parametrize("scale", [1, 64])
def test_gradients_that_are_clipped(how, scale):
    """Also under a loss scale: they are scaled until the optimizer unscales them."""
    scene = scene_of(LossScaleOptimizer(SGD(0.1), initial_scale=64.0) if scale > 1 else None)
    where, clipped = CLIPPED[how]
    clip = float(f"{where(norms(scene)):.1g}")
    received = by(scene, lambda gradients: [scale * each for each in clipped(gradients, clip)])
    found = clipped_names(scene, received)
    assert_close(found[f"gradients are clipped {how.format(clip)}"], received)
    assert_differs(received, scene.expected)


def test_a_step_without_gradients_points_to_nothing():
    scene = scene_of()
    assert after(scene, received=scene.before).keys() == set()


# The optimizer of the loop.


def test_another_optimizer_is_named_and_its_update_taken():
    scene = scene_of()
    own = Adam(0.01)
    restore(scene.model, scene.before)
    own.build(scene.model.trainable_variables)
    slots = [variable.numpy() for variable in own.variables]
    received = scene.trained(scene.right_loss, optimizer=own)
    found = after(scene, received=received, optimizer=own, slots=slots, has_own_optimizer=True)
    weights = len(scene.model.variables)
    taken = found["another optimizer: Adam, not SGD"]
    assert_close(taken[:weights], received[:weights])
    assert_differs(taken[:weights], scene.expected[:weights])


def test_the_settings_of_an_own_optimizer_that_differ_are_named_together():
    scene = scene_of(SGD(0.1, momentum=0.9))
    own = SGD(0.2, momentum=0.5, nesterov=True)
    restore(scene.model, scene.before)
    own.build(scene.model.trainable_variables)
    scene.trained(scene.right_loss, optimizer=own)
    slots = [variable.numpy() for variable in own.variables]  # it has velocities now
    received = scene.trained(scene.right_loss, optimizer=own)
    found = after(scene, received=received, optimizer=own, slots=slots, has_own_optimizer=True)
    name = (
        "another learning rate: 0.2, not 0.1; another momentum: 0.5, not 0.9;"
        " another nesterov: True, not False"
    )
    weights = len(scene.model.variables)
    assert_close(found[name][:weights], received[:weights])
    assert_differs(received[:weights], scene.expected[:weights])


def test_settings_that_are_alike_but_for_rounding_and_names_are_no_mistake():
    scene = scene_of(Adam(0.01))
    own = Adam(float(np.float32(0.01)), name="mine")
    own.build(scene.model.trainable_variables)
    found = after(scene, optimizer=own, has_own_optimizer=True)
    assert not any(name.startswith("another") for name in found)


@pytest.mark.parametrize(
    "one, other, alike",
    [
        (0.1, 0.1 * (1 + 5e-7), True),
        (0.1, 0.1 * (1 + 5e-6), False),
        (0.1, None, False),
        (None, 0.1, False),
        (None, None, True),
        (1, 1.0, True),
        (True, False, False),
        ({"class_name": "A"}, {"class_name": "A"}, True),
    ],
)
def test_settings_are_alike_within_the_rounding_of_their_variables(one, other, alike):
    assert _equal(one, other) is alike


def test_a_setting_that_is_left_out_and_a_schedule_are_named():
    scene = scene_of(Adam(0.01, weight_decay=0.1))
    own = Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.5))
    own.build(scene.model.trainable_variables)
    evidence = scene.evidence(optimizer=own, has_own_optimizer=True, slots=[])
    names = [wrong.name for wrong in with_other_updates(evidence) if wrong.name.startswith("another")]
    assert names == [
        "another learning rate: ExponentialDecay, not 0.01; another weight decay: None, not 0.1"
    ]


def test_the_optimizer_of_the_model_with_another_setting():
    """A loop may change the compiled optimizer; its learning rate is a variable of the state."""
    scene = scene_of(Adam(0.01, weight_decay=0.1))
    other = Adam(0.03, weight_decay=0.004, epsilon=1e-3)
    other.build(scene.model.trainable_variables)
    found = after(scene, optimizer=other)
    (name,) = (each for each in found if each.startswith("another"))
    assert (
        name
        == "another weight decay: 0.004, not 0.1; another epsilon of the optimizer: 0.001, not 1e-07"
    )
    restore(scene.model, scene.before)
    same_rate = Adam(0.01, weight_decay=0.004, epsilon=1e-3)
    same_rate.build(scene.model.trainable_variables)
    for variable, old in zip(
        same_rate.variables, scene.before[len(scene.model.variables) :], strict=True
    ):
        variable.assign(old)
    weights = len(scene.model.variables)
    expected = scene.trained(scene.right_loss, optimizer=same_rate)[:weights]
    assert_close(found[name][:weights], expected)
    assert_differs(expected, scene.expected[:weights])
    # The settings are put back.
    assert (scene.model.optimizer.weight_decay, scene.model.optimizer.epsilon) == (0.1, 1e-7)


def guessed(scene, received):
    """The mistakes that are tried if the loop's optimizer is none of Keras'."""
    return after(scene, received=received, optimizer=None, has_own_optimizer=True)


def test_of_an_optimizer_that_is_not_known_the_settings_are_guessed():
    scene = scene_of(Adam(0.01, clipnorm=0.5, weight_decay=0.25))
    found = guessed(scene, scene.expected)
    epsilons = [
        f"another epsilon of the optimizer: {each:g}, not 1e-07" for each in EPSILONS if each != 1e-7
    ]
    others = ["another clipnorm: None, not 0.5", "another weight decay: None, not 0.25"]
    assert {name for name in found if name.startswith("another")} == {*epsilons, *others}
    assert len(epsilons) == 5
    assert_differs(found[epsilons[-1]], scene.expected)
    assert_differs(found[others[0]], scene.expected)
    assert_differs(found[others[1]], scene.expected)
    assert scene.model.optimizer.clipnorm == 0.5 and scene.model.optimizer.weight_decay == 0.25


@pytest.mark.parametrize("rate", [0.05, 0.1234, 0.2])
def test_the_learning_rate_of_an_optimizer_that_is_not_known_is_measured(rate):
    scene = scene_of()
    received = scene.trained(scene.right_loss, optimizer=SGD(rate))
    weights = len(scene.model.variables)
    received = [*received[:weights], *scene.before[weights:]]
    found = guessed(scene, received)
    state = found[f"another learning rate: {rate:g}, not 0.1"]
    assert_close(state[:weights], received[:weights])
    assert_differs(state[:weights], scene.expected[:weights])
    assert float(scene.model.optimizer.learning_rate) == pytest.approx(0.1)
    assert not any("learning rate" in name for name in guessed(scene, scene.expected))


def test_a_measured_learning_rate_has_four_digits():
    scene = scene_of()
    received = scene.trained(scene.right_loss, optimizer=SGD(0.1234567))
    assert "another learning rate: 0.1235, not 0.1" in guessed(scene, received)


# Embeddings and mixed precision.


def test_the_gradient_of_an_embedding_as_a_dense_tensor():
    scene = Scene(kinds.recurrent)
    (found,) = scene.all_after(with_other_updates(scene.evidence()))[DENSE]
    assert_close(found, by(scene, lambda gradients: [tf.convert_to_tensor(each) for each in gradients]))


def test_the_loss_scale_is_left_out_in_one_of_two_places():
    scale = 64.0
    scene = scene_of(LossScaleOptimizer(SGD(0.1), initial_scale=scale))
    found = after(scene)
    kept = found["gradients are not unscaled under mixed precision"]
    small = found["the loss is not scaled under mixed precision, but the gradients are unscaled"]
    for old, right, one, other in zip(scene.before[:4], scene.expected, kept, small, strict=False):
        np.testing.assert_allclose(one - old, scale * (right - old), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(other - old, (right - old) / scale, rtol=1e-2, atol=1e-6)
    assert isinstance(scene.model.optimizer, keras.optimizers.LossScaleOptimizer)
