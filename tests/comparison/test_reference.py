"""The reference takes Keras' own step, or another one, from any state."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kinds
from evidence import assert_differs
from kerasmlp.comparison import reference as of_reference
from kerasmlp.comparison.reference import RIGHT, Reference, Step, calls_before_apply, restore, state
from kerasmlp.comparison.rounding import Rounding
from kerasmlp.comparison.verdict import same
from kerasmlp.data import Batches


class OwnStep(keras.Model):
    """Trains with a step of its own, which takes half the gradients."""

    def __init__(self):
        super().__init__()
        self.out = keras.layers.Dense(3)

    def call(self, x):
        return self.out(x)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply([each / 2 for each in gradients], self.trainable_variables)
        return {"loss": loss}


@pytest.fixture
def own_step():
    keras.utils.set_random_seed(3)
    model = OwnStep()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    x, y = kinds.data_of(kinds.plain)
    model(x[:1])
    model.optimizer.build(model.trainable_variables)
    return model, (x[:8], y[:8])


def test_the_step_of_a_class_is_taken_and_something_called_before_its_update(own_step):
    model, batch = own_step
    before = state(model)
    model.train_step(batch)
    expected, seen = state(model), []
    reference = Reference(model)
    assert same(reference.take(RIGHT, before, [batch]), expected)
    restore(model, before)
    RIGHT.take(model, batch, lambda: seen.append(state(model)))
    assert len(seen) == 1 and same(seen[0], before)
    assert same(state(model), expected)
    with pytest.raises(ValueError, match="this step is not known for a model with its own train_step"):
        Step(apply=RIGHT.apply).take(model, batch)


def test_the_difference_of_programs_is_not_known_for_the_step_of_a_class(own_step):
    model, batch = own_step
    before = state(model)
    model.train_step(batch)
    expected = state(model)
    x, y = kinds.data_of(kinds.plain)
    rounding = Rounding(Reference(model), Batches(x, y, 8))
    for received, right in zip(rounding.after_changed_steps(before, [batch], 0), expected, strict=True):
        np.testing.assert_allclose(received, right, rtol=1e-5, atol=1e-7)


def test_a_call_before_an_update_is_taken_back_at_the_end(own_step):
    model, batch = own_step
    apply, calls = model.optimizer.apply, []
    with calls_before_apply(model, lambda: calls.append("before")):
        assert model.optimizer.apply.__name__ == "apply"
        model.train_step(batch)
        model.train_step(batch)
    assert calls == ["before", "before"]
    assert model.optimizer.apply == apply
    model.train_step(batch)
    assert len(calls) == 2


@pytest.fixture
def plain():
    model = kinds.plain(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    model.optimizer.build(model.trainable_variables)
    x, y = kinds.data_of(kinds.plain)
    return model, [(x[:8], y[:8]), (x[8:16], y[8:16])]


def test_a_step_is_its_gradients_its_update_and_what_comes_after(plain):
    model, (batch, _) = plain
    events = []
    step = Step(
        lambda model, batch: events.append("gradients") or RIGHT.gradients(model, batch),
        lambda model, gradients: events.append("update") or RIGHT.apply(model, gradients),
        lambda model, batch: events.append("after"),
    )
    step.take(model, batch, lambda: events.append("between"))
    assert events == ["gradients", "between", "update", "after"]


def test_steps_start_from_the_state_that_is_given(plain):
    model, batches = plain
    reference, before = Reference(model), state(model)
    both = reference.take(RIGHT, before, batches)
    one = reference.take(RIGHT, before, batches[:1])
    assert_differs(one, both)
    assert same(reference.take(RIGHT, one, batches[1:]), both)
    assert same(reference.take(RIGHT, before, []), before)
    for received, expected in zip(reference.train(before, batches), both, strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-7)


def test_the_average_of_the_weights_is_theirs_at_the_end(plain):
    model, batches = plain
    reference = Reference(model)
    trained = reference.take(RIGHT, state(model), batches)
    final = reference.finalize(trained)
    average = next(n for n, path in enumerate(reference.paths) if path.endswith("kernel_average"))
    kernel = next(n for n, path in enumerate(reference.paths) if path.endswith("/kernel"))
    assert np.array_equal(final[kernel], trained[average])
    assert_differs(final, trained)


def test_callbacks_are_heard_in_the_state_that_is_given(plain):
    class Halves(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.1 / (epoch + 1)
            assert self.params == {"verbose": 0, "epochs": 7}

    model, _ = plain
    quiet, driven = Reference(model), Reference(model, lambda: [Halves()], epochs=7)
    before = state(model)
    model.stop_training = True  # as at the end of another training
    assert same(driven.hear(before, "train_begin"), before)
    assert not model.stop_training
    assert quiet.hear(before, "epoch_begin", 3) is before
    rate = next(n for n, path in enumerate(driven.paths) if path.endswith("learning_rate"))
    heard = driven.hear(before, "epoch_begin", 3)
    assert heard[rate] == pytest.approx(0.025)
    assert same([*heard[:rate], *heard[rate + 1 :]], [*before[:rate], *before[rate + 1 :]])
    assert (quiet.drives, driven.drives) == (False, True)


def test_callbacks_hear_the_validation_and_may_change_the_state(plain):
    class Listens(keras.callbacks.Callback):
        def on_test_end(self, logs=None):
            self.model.optimizer.learning_rate = 0.25

    model, batches = plain
    reference = Reference(model, lambda: [Listens()], tf.data.Dataset.from_tensors(batches[1]))
    before = reference.hear(state(model), "train_begin")
    after, found = reference.validate(before)
    assert set(found) == {"val_loss", "val_accuracy"}
    rate = next(n for n, path in enumerate(reference.paths) if path.endswith("learning_rate"))
    assert after[rate] == 0.25
    assert same([*after[:rate], *after[rate + 1 :]], [*before[:rate], *before[rate + 1 :]])


def test_a_validation_is_an_evaluation_in_the_state_that_is_given(plain, capsys):
    model, batches = plain
    validation = tf.data.Dataset.from_tensors(batches[1])
    before = state(model)
    assert Reference(model).validate(before) == (before, {})
    reference = Reference(model, validation=validation)
    expected = model.evaluate(validation, verbose=0, return_dict=True)
    reference.take(RIGHT, before, batches)  # it is in another state now
    after, found = reference.validate(before)
    assert after is before
    assert found == {f"val_{name}": value for name, value in expected.items()}
    assert capsys.readouterr().out == ""


def test_the_variables_are_those_of_the_model_then_those_of_the_optimizer(plain):
    model, _ = plain
    reference = Reference(model)
    assert reference.weights == 4
    own = [*model.variables, *model.optimizer.variables]
    assert reference.paths == [each.path for each in own]
    with pytest.raises(ValueError):
        of_reference.assign(own, state(model)[:-1])


@pytest.mark.parametrize("jit_compile", [True, False])
def test_the_step_is_compiled_as_the_model_is(jit_compile):
    model = kinds.plain(jit_compile=jit_compile)
    x, y = kinds.data_of(kinds.plain)
    traced = Reference(model).train_step.get_concrete_function((x[:8], y[:8]))
    assert traced.function_def.attr["_XlaMustCompile"].b is jit_compile
