"""Each known mistake in a step is the step that somebody takes who makes it."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import kinds
from evidence import Scene, assert_close, assert_differs
from kerasmlp.comparison.reference import RIGHT, restore, state
from kerasmlp.comparison.wrong_steps import (
    with_forward_passes,
    with_other_data,
    with_other_variables,
)
from kerasmlp.data import unpacked
from mistakes import weighted

AGAIN = "the weights are set back to their initial values"
TWICE = "the model is called twice with training=True: that moves statistics or seeds twice"


def passes(evidence):
    """The mistakes in forward passes, without that of XLA, which takes long to compile."""
    return (wrong for wrong in with_forward_passes(evidence) if wrong.kind != "XLA")


def index(scene, path):
    """The number of the variable whose path ends so."""
    (found,) = (n for n, each in enumerate(scene.reference.paths) if each.endswith(path))
    return found


def with_values(of, values):
    """A state in which the variables of these numbers have these values."""
    return [values.get(number, value) for number, value in enumerate(of)]


# Statistics and seeds.


def test_a_second_forward_pass_is_before_between_or_after():
    scene = Scene(kinds.subclass)
    x, _ = scene.batch
    found = scene.all_after(passes(scene.evidence()))
    assert len(found[TWICE]) == 3
    between, before, after = found[TWICE]

    restore(scene.model, scene.before)
    scene.model(x, training=True)
    RIGHT.take(scene.model, scene.batch)
    assert_close(before, state(scene.model))

    restore(scene.model, scene.expected)
    scene.model(x, training=True)
    assert_close(after, state(scene.model))

    # In between, seeds and statistics have moved, and the gradients are the right ones.
    restore(scene.model, scene.before)
    for _ in range(2):
        scene.model(x, training=True)
    others = {each.path for each in scene.model.non_trainable_variables}
    moves = [path in others for path in scene.reference.paths]
    states = zip(moves, state(scene.model), scene.expected, strict=True)
    assert_close(between, [moved if is_moved else right for is_moved, moved, right in states])
    for one in found[TWICE]:
        assert_differs(one, scene.expected)


def test_xla_is_a_cause_only_where_something_is_drawn():
    with_seeds, without = (
        [wrong.kind for wrong in with_forward_passes(Scene(make).evidence())]
        for make in (kinds.dense, kinds.plain)
    )
    assert with_seeds == ["XLA", "passes", "passes", "passes"]
    assert without == ["passes", "passes", "passes"]


@pytest.mark.parametrize("jit_compile", [True, False])
def test_the_step_is_compiled_the_other_way_to_see_what_xla_draws(jit_compile, monkeypatch):
    scene = Scene(lambda: kinds.dense(jit_compile=jit_compile), kinds.data_of(kinds.dense))
    wrong, traced, compiled = next(with_forward_passes(scene.evidence())), tf.function, []

    def function(called, **options):
        compiled.append(options["jit_compile"])
        return traced(called)

    monkeypatch.setattr(tf, "function", function)
    (found,) = scene.all_after([wrong]).values()
    assert compiled == [not jit_compile]
    assert_close(found[0], scene.expected)  # XLA was left out here


def test_statistics_that_are_not_moved():
    scene = Scene(kinds.subclass)
    mean = index(scene, "moving_mean")
    received = with_values(scene.expected, {mean: scene.before[mean]})
    found = scene.all_after(passes(scene.evidence(received)))
    path = scene.reference.paths[mean]
    (kept,) = found[f"statistics are not moved: {path} stay as they were"]
    assert_close(kept, received)
    assert_differs(kept, scene.expected)
    assert {wrong.name for wrong in passes(scene.evidence())} == {TWICE}  # if all have moved


# Which weights, and from which state.


def test_without_a_mistake_there_is_only_one_way_to_start_from_another_state():
    scene = Scene(kinds.plain)
    found = scene.all_after(with_other_variables(scene.evidence()))
    assert found.keys() == {AGAIN}
    weights = len(scene.model.variables)
    (back,) = found[AGAIN]
    start = [*scene.initial[:weights], *scene.before[weights:]]
    assert_close(back, scene.trained(scene.right_loss, before=start))
    assert_differs(back, scene.expected)


def test_another_learning_rate_of_the_model():
    scene = Scene(kinds.plain)
    rate = index(scene, "learning_rate")
    changed = {rate: np.float32(0.25)}
    found = scene.all_after(with_other_variables(scene.evidence(with_values(scene.expected, changed))))
    before, after = found["another learning rate: 0.25, not 0.1"]
    assert_close(before, scene.trained(scene.right_loss, before=with_values(scene.before, changed)))
    assert_differs(before, scene.expected)
    assert_close(after, with_values(scene.expected, changed))  # it is set for the next step


def test_variables_that_are_not_trained():
    scene = Scene(
        lambda: kinds.dense(keras.optimizers.SGD(0.1, momentum=0.9)), kinds.data_of(kinds.dense)
    )
    first, *others = (scene.reference.paths.index(each.path) for each in scene.model.trainable_variables)
    received = with_values(scene.expected, {first: scene.before[first]})
    found = scene.all_after(with_other_variables(scene.evidence(received)))
    (state,) = found[f"these variables are not trained: {scene.reference.paths[first]}"]
    assert_close(state, received)
    assert_differs(state, scene.expected)

    received = with_values(scene.expected, {n: scene.before[n] for n in (first, *others)})
    found = scene.all_after(with_other_variables(scene.evidence(received)))
    assert not any(name.startswith("these variables") for name in found)
    moved, nothing = found["the loop trains nothing: no variable is trained in this step"]
    assert_close(moved, received)  # the optimizer took a step
    seed = index(scene, "seed_generator_state")
    assert_close(nothing, with_values(scene.before, {seed: scene.expected[seed]}))


def test_the_change_of_a_callback_is_ignored():
    scene = Scene(kinds.plain)
    rate = index(scene, "learning_rate")
    unheard = with_values(scene.before, {rate: np.float32(0.02)})
    found = scene.all_after(with_other_variables(scene.evidence(unheard=unheard)))
    (state,) = found["the loop ignores its callbacks, which change the state before this step"]
    assert_close(state, scene.trained(scene.right_loss, before=unheard))
    assert_differs(state, scene.expected)


def trained_too(scene, rate):
    """The weights after a step that trains all of them, whether they are frozen or not."""
    model = scene.model
    values = [each.value for each in model.weights]
    restore(model, scene.before)
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = model.compute_loss(None, scene.batch[1], model(scene.batch[0], training=True))
    gradients = tape.gradient(loss, values)
    return [old - rate * new.numpy() for old, new in zip(scene.before, gradients, strict=False)]


@pytest.mark.parametrize("has_own", [True, False])
def test_frozen_variables_that_are_trained(has_own):
    def frozen():
        model = kinds.plain(keras.optimizers.SGD(0.1))
        model.layers[0].trainable = False
        return model

    scene = Scene(frozen, kinds.data_of(kinds.plain))
    optimizer = keras.optimizers.SGD(0.2) if has_own else scene.model.optimizer
    trained = trained_too(scene, 0.2 if has_own else 0.1)
    received = [*trained, *scene.expected[len(trained) :]]
    evidence = scene.evidence(received, optimizer=optimizer, has_own_optimizer=has_own)
    found = scene.all_after(with_other_variables(evidence))
    paths = ", ".join(each.path for each in scene.model.layers[0].weights)
    (state,) = found[f"frozen variables are trained: {paths}"]
    assert_close(state[: len(trained)], trained)
    assert_differs(state[: len(trained)], scene.expected[: len(trained)])


class Scaled(keras.layers.Layer):
    """Has variables that are not to be trained."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(3,), initializer="ones", trainable=False)
        self.offset = self.add_weight(shape=(3,), initializer="zeros", trainable=False)

    def call(self, x):
        return x * self.scale + self.offset


def test_of_the_variables_that_are_never_trained_those_that_changed_are_named():
    def scaled():
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3), Scaled()])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss)
        return model

    scene = Scene(scaled, kinds.data_of(kinds.plain))
    scale = scene.reference.paths.index(scene.model.layers[1].scale.path)
    received = with_values(scene.expected, {scale: trained_too(scene, 0.1)[scale]})
    found = scene.all_after(with_other_variables(scene.evidence(received)))
    (state,) = found[f"frozen variables are trained: {scene.reference.paths[scale]}"]
    weights = len(scene.model.variables)
    assert_close(state[:weights], received[:weights])
    assert_differs(state, scene.expected)


def test_statistics_that_move_and_seeds_that_do_not_are_no_frozen_variables():
    scene = Scene(kinds.subclass)
    assert {wrong.name for wrong in with_other_variables(scene.evidence())} == {AGAIN}
    seed = index(scene, "seed_generator_state")
    still = with_values(scene.expected, {seed: scene.before[seed]})
    evidence = scene.evidence(expected=still)  # as if nothing were drawn
    assert {wrong.name for wrong in with_other_variables(evidence)} == {AGAIN}


def test_a_new_optimizer_has_lost_its_state():
    scene = Scene(lambda: kinds.plain(keras.optimizers.Adam(0.01)), kinds.data_of(kinds.plain))
    weights = len(scene.model.variables)
    found = scene.all_after(with_other_variables(scene.evidence(is_new=True)))
    (state,) = found["the optimizer is made anew: its state is lost"]
    start = [*scene.before[:weights], *scene.initial[weights:]]
    assert_close(state, scene.trained(scene.right_loss, before=start))
    assert_differs(state, scene.expected)
    (back,) = found[AGAIN]
    start = [*scene.initial[:weights], *scene.before[weights:]]
    assert_close(back, scene.trained(scene.right_loss, before=start))


# The batch.


def test_the_size_of_a_batch_is_that_of_the_first():
    scene = Scene(kinds.plain)
    partial = tuple(part[:3] for part in scene.batch)
    assert scene.evidence(batches=[scene.batch, partial]).batch_size == 8


def test_other_data_in_the_batch():
    scene = Scene(kinds.plain, weighted(kinds.plain))
    x, y, weight = scene.batch
    right = scene.right_loss

    def of(*batch):
        return scene.trained(right, batch=batch)

    labels = "labels do not belong to their inputs: they are"
    expected = {
        "the batch is used twice": scene.trained(right, before=scene.expected),
        "the inputs are changed: multiplied by 255": of(255 * x, y, weight),
        "the inputs are changed: multiplied by 0.003922": of(x / 255, y, weight),
        f"{labels} shifted by one": of(x, tf.concat([y[-1:], y[:-1]], 0), weight),
        f"{labels} shifted back by one": of(x, tf.concat([y[1:], y[:1]], 0), weight),
        f"{labels} reversed": of(x, y[::-1], weight),
        "sample weights are left out (class weights are sample weights)": of(x, y),
    }
    found = scene.all_after(with_other_data(scene.evidence()))
    assert found.keys() == expected.keys()
    for name, (other,) in found.items():
        assert_close(other, expected[name])
        assert_differs(other, scene.expected)


def test_labels_are_turned_among_the_examples_whatever_their_shape():
    x, y = tf.zeros((3, 2)), np.arange(6).reshape(3, 2)
    evidence = types.SimpleNamespace(batches=[(x, {"one": y, "two": y[:, 0]})], drawn=[])
    found = [wrong for wrong in with_other_data(evidence) if wrong.kind == "labels"]
    for wrong, order in zip(found, ([2, 0, 1], [1, 2, 0], [2, 1, 0]), strict=True):
        ((same_x, labels),) = wrong.batches
        assert same_x is x
        assert np.array_equal(labels["one"], y[order]) and np.array_equal(labels["two"], y[order, 0])


def test_token_ids_are_not_scaled_and_without_weights_none_are_left_out():
    scene = Scene(kinds.recurrent)
    found = scene.all_after(with_other_data(scene.evidence()))
    assert not any("sample weights" in name for name in found)
    (scaled,) = found["the inputs are changed: multiplied by 255"]
    assert_close(scaled, scene.expected)


def test_gradients_of_several_batches():
    scene = Scene(kinds.plain)
    x, y = (part[:16] for part in kinds.data_of(kinds.plain))
    drawn = [(tf.constant(x[at]), tf.constant(y[at])) for at in (slice(0, 8), slice(8, 16))]
    found = scene.all_after(with_other_data(scene.evidence(drawn=drawn)))
    name = "gradients are accumulated: those of 2 batches make an update (their {})"
    both = tf.constant(x), tf.constant(y)
    mean = scene.trained(scene.right_loss, batch=both)
    (of_mean,), (of_sum,) = found[name.format("mean")], found[name.format("sum")]
    assert_close(of_mean, mean)
    summed = scene.trained(scene.right_loss, batch=both, change=lambda gs: [2 * g for g in gs])
    assert_close(of_sum, summed)
    assert unpacked(scene.batch)[0].shape == (8, 6)
