"""The built-in loops end with the same weights, bit for bit."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from helpers import assert_same, cases, compiled, pairs, python, run, state
from kerasmlp import loops
from kerasmlp.data import Batches, Examples
from small_models import MODELS, dense, regularised

HANDWRITTEN = ["graph", "eager"]


FUSED = {"batch normalisation", "convolution", "schedule"}
"""Models whose ops a graph fuses or rewrites, so that they round otherwise than one by one."""


@pytest.fixture(scope="module")
def fitted(digits):
    """What `fit` makes of a model, by its name."""

    @functools.cache
    def fit(name):
        model = compiled(**MODELS[name])
        return run("fit", model, digits), state(model)

    return fit


QUICK = [("graph", "dropout"), ("graph", "EMA"), ("eager", "plain")]


@pytest.mark.parametrize("loop, name", pairs(HANDWRITTEN, MODELS, default=QUICK))
def test_a_hand_written_loop_is_fit_bit_for_bit(loop, name, fitted, digits):
    model = compiled(**MODELS[name])
    before = state(model)
    history = run(loop, model, digits)
    expected_history, expected_state = fitted(name)
    if loop == "eager" and name in FUSED:
        for metric, values in expected_history.items():
            assert history[metric] == pytest.approx(values, abs=1e-5)
        for one, other in zip(state(model), expected_state, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
    else:
        assert history == expected_history
        assert_same(state(model), expected_state)
    assert any(not np.array_equal(*pair) for pair in zip(before, expected_state, strict=False))


@pytest.mark.thorough
def test_the_models_do_what_their_names_say(fitted):
    plain_history, plain_state = fitted("plain")
    assert fitted("L2")[0]["loss"][0] > plain_history["loss"][0]
    assert not np.array_equal(fitted("EMA")[1][0], plain_state[0])
    model = compiled(**MODELS["loss scale"])
    model.optimizer.build(model.trainable_variables)
    names = [variable.name for variable in model.optimizer.variables]
    final = dict(zip(names, fitted("loss scale")[1][len(model.variables) :], strict=True))
    assert 1 < final["dynamic_scale"] < 2.0**40
    assert final["iteration"] < 12


@pytest.mark.parametrize("loop", cases(("fit", "graph"), default=("fit",)))
@pytest.mark.parametrize("steps_per_execution", cases((2, 4, 6, 50), default=(4,)))
def test_steps_per_execution_changes_nothing_but_the_calls(loop, steps_per_execution, fitted, digits):
    model = compiled(**MODELS["plain"], steps_per_execution=steps_per_execution)
    assert run(loop, model, digits) == fitted("plain")[0]
    assert_same(state(model), fitted("plain")[1])


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["plain", "dropout"])
def test_with_xla_graph_is_fit_bit_for_bit(name, digits):
    """Step by step; with more steps an execution they are one program, see test_execution."""
    reference, model = (compiled(**MODELS[name], jit_compile=True) for _ in range(2))
    assert run("graph", model, digits) == run("fit", reference, digits)
    assert_same(state(model), state(reference))


@pytest.mark.parametrize("loop", cases(("graph", "eager"), default=("graph",)))
def test_replacement_sampling_trains_alike(loop, digits):
    reference, model = compiled(dense), compiled(dense)
    options = {"sampling": "replacement", "validation": False}
    expected = run("fit", reference, digits, **options)
    assert run(loop, model, digits, **options) == expected
    assert_same(state(model), state(reference))


@pytest.mark.parametrize("loop", cases(loops.LOOPS, default=("graph",)))
def test_the_reported_loss_is_the_mean_over_examples(loop, digits):
    """With a learning rate of 0 the weights stand still, so the epoch's mean is the evaluation's."""
    images, labels = digits
    model = compiled(regularised, optimizer=lambda: keras.optimizers.SGD(0.0))
    history = run(loop, model, digits, epochs=1, validation=False)
    examples = Examples(images, labels, are_images=True)
    expected = model.evaluate(examples.in_order(), return_dict=True, verbose=0)
    assert history["loss"][0] == pytest.approx(expected["loss"], rel=1e-6)
    assert history["accuracy"][0] == expected["accuracy"]


def test_sample_weights_reach_the_loss(digits, fitted):
    class Weighted(Batches):
        def epoch(self, epoch, first_step=0):
            return super().epoch(epoch, first_step).map(lambda x, y: (x, y, tf.cast(y, tf.float32)))

    fit, *others = [
        loop(compiled(dense), Weighted(*digits, 7, seed=5), None, 2, []) for loop in loops.LOOPS.values()
    ]
    assert others == [fit, fit]
    assert fit["loss"] != fitted("plain")[0]["loss"]


@pytest.mark.parametrize("is_marked", cases((False, True), default=(True,)))
def test_a_model_that_is_not_built_yet_is_built(is_marked, digits):
    """Keras marks a subclassed model without `build` as built, and makes no variables."""

    class Late(keras.Model):
        def __init__(self):
            super().__init__()
            self.flatten = layers.Flatten()
            self.dense = layers.Dense(3, activation="softmax")

        def call(self, x):
            return self.dense(self.flatten(x))

    results = []
    for name in loops.LOOPS:
        keras.utils.set_random_seed(1)
        model = Late()
        loss = "sparse_categorical_crossentropy"
        model.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
        if is_marked:
            with pytest.warns(UserWarning, match="does not have a `build"):
                model.build((None, 6, 6, 1))
        results.append((run(name, model, digits, validation=False), state(model)))
    for history, final in results[1:]:
        assert history == results[0][0]
        assert_same(final, results[0][1])


@pytest.mark.thorough
def test_training_twice_goes_on_from_the_weights(digits):
    models = [compiled(dense), compiled(dense)]
    for loop, model in zip(("fit", "graph"), models, strict=True):
        run(loop, model, digits)
        run(loop, model, digits)
    assert_same(state(models[0]), state(models[1]))


@pytest.mark.thorough
def test_importing_the_loops_alone_works():
    done = python("-c", "from kerasmlp.loops import LOOPS; print(*LOOPS)")
    assert done.stdout.split() == ["fit", "graph", "eager"], done.stderr
