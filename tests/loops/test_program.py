import functools
import re

import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras.optimizers import SGD

from helpers import assert_same, cases, compiled, run, state
from kerasmlp import loops
from kerasmlp.data.batches import Batches
from kerasmlp.loops.callback_list import Execution
from kerasmlp.loops.program import Program, make_program
from small_models import MODELS, Recorder, dense, dropout

PROGRAM = {"jit_compile": True, "steps_per_execution": 4}


@pytest.fixture(scope="module")
def steps_one_by_one(digits):
    """What Keras' own fit makes of a model with `jit_compile`, and nothing of ours, by its name."""

    @functools.cache
    def fit(name):
        model = compiled(**MODELS[name], jit_compile=True)
        training = loops.Training(model, Batches(*digits, 7), None, 2, [])
        assert make_program(training, loops.train_step, lambda: None) is None
        return run("fit", model, digits, validation=False), state(model)

    return fit


BOTH = ("fit", 4), ("graph", 50)


@pytest.mark.parametrize(
    "name, programs",
    [("dropout", BOTH[:1]), *(pytest.param(name, BOTH, marks=pytest.mark.thorough) for name in MODELS)],
)
def test_the_program_is_keras_own_xla_step_bit_for_bit(name, programs, steps_one_by_one, digits):
    """Over 6 steps an epoch, the last one on a partial batch, in groups of 4 and 2, or all at once."""
    history, final = steps_one_by_one(name)
    states = []
    for loop, steps in programs:
        model = compiled(**MODELS[name], jit_compile=True, steps_per_execution=steps)
        received = run(loop, model, digits, validation=False)
        states.append(state(model))
        if name == "convolution":  # in a loop XLA lays the kernel out otherwise, and so sums otherwise
            for metric, values in history.items():
                assert received[metric] == pytest.approx(values, abs=1e-6)
            for one, other in zip(states[-1], final, strict=True):
                np.testing.assert_allclose(one, other, atol=1e-6)
        else:
            assert received == history
            assert_same(states[-1], final)
    for other in states[1:]:
        assert_same(other, states[0])


@pytest.mark.thorough
@pytest.mark.parametrize("steps", (2, 3, 6, 50))
def test_the_number_of_steps_in_a_program_changes_nothing(steps, steps_one_by_one, digits):
    history, final = steps_one_by_one("dropout")
    model = compiled(**MODELS["dropout"], jit_compile=True, steps_per_execution=steps)
    received = run("fit", model, digits, validation=False)
    assert received == history
    assert_same(state(model), final)


@pytest.mark.parametrize("loop", cases(("fit", "graph"), default=("fit",)))
def test_replacement_has_no_partial_batch(loop, digits):
    reference, model = compiled(dense, jit_compile=True), compiled(dense, **PROGRAM)
    options = {"sampling": "replacement", "validation": False}
    expected = run("fit", reference, digits, **options)
    assert run(loop, model, digits, **options) == expected
    assert_same(state(model), state(reference))


@pytest.mark.thorough
@pytest.mark.parametrize("loop", ["fit", "graph"])
@pytest.mark.parametrize("stop_at", [None, 5])
def test_callbacks_hear_of_a_program_what_they_hear_of_keras_executions(loop, stop_at, digits):
    heard = []
    for name, jit_compile in (("fit", False), (loop, True)):
        recorder = Recorder(stop_at)
        options = {"optimizer": SGD, "steps_per_execution": 4}
        model = compiled(dense, jit_compile=jit_compile, **options)
        run(name, model, digits, callbacks=[recorder])
        heard.append([(entry[:-1], entry[-1] or {}) for entry in recorder.heard])
    for (hook, logs), (expected_hook, expected) in zip(*reversed(heard), strict=True):
        assert hook == expected_hook
        assert {name: float(log) for name, log in logs.items()} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("given", [{"jit_compile": False}, {"steps_per_execution": 1}, {}])
def test_one_step_at_a_time_and_eager_steps_are_no_program(given, digits):
    model = compiled(dense, **PROGRAM | given)
    model.run_eagerly = not given
    training = loops.Training(model, Batches(*digits, 7), None, 2, [])
    assert make_program(training, loops.train_step, lambda: None) is None


@pytest.mark.thorough
def test_training_goes_on_after_a_program_with_keras_own_fit(digits):
    """The model is left as it was found."""
    model = compiled(dense, **PROGRAM)
    run("fit", model, digits)
    assert "make_train_function" not in vars(model)
    images, labels = digits
    model.fit(images / np.float32(255), labels, epochs=1, verbose=0)
    assert int(model.optimizer.iterations) == 12 + 2


def test_a_program_is_traced_once_for_batches_of_all_sizes_and_has_trained_nothing_by_then(digits):
    """It may begin within a later epoch, as a run that is resumed does."""
    traced, seen = [], tf.Variable(0.0)

    def step(model, x, y):
        traced.append(tuple(x.shape))
        seen.assign_add(tf.reduce_sum(x))
        return loops.train_step(model, x, y)

    model, batches = compiled(dropout, optimizer=SGD, **PROGRAM), Batches(*digits, 7)
    loops.build(model, batches)
    assert model.optimizer.built
    before = state(model)
    program = Program(model, step, batches, lambda: None)
    assert program.seconds_to_trace > 0
    assert program.seconds_to_compile > 0
    assert_same(state(model), before)
    sums = [x.numpy().sum() for epoch in (1, 2) for x, _ in batches.epoch(epoch)][4:]
    for execution, steps in ((1, 4, 2), 2), ((2, 0, 4), 6), ((2, 4, 2), 8):
        program(Execution(*execution))
        assert int(model.optimizer.iterations) == steps
        assert float(seen) == pytest.approx(sum(sums[:steps]), rel=1e-5)
    assert traced == [(None, 6, 6, 1)]


def uncompilable():
    """XLA knows no strings."""

    class Layer(layers.Layer):
        def call(self, x):
            return tf.strings.to_number(tf.strings.as_string(tf.stop_gradient(x))) + x - x

    return [layers.Flatten(), Layer(), layers.Dense(3), layers.Softmax()]


@pytest.mark.parametrize("loop", cases(("fit", "graph"), default=("fit",)))
def test_what_xla_cannot_compile_is_trained_without_it_and_said(loop, digits, capsys):
    reference = compiled(uncompilable, optimizer=SGD, steps_per_execution=4)
    model = compiled(uncompilable, optimizer=SGD, **PROGRAM)
    expected = run("fit", reference, digits, validation=False)
    assert run(loop, model, digits, validation=False) == expected
    assert_same(state(model), state(reference))
    assert model.jit_compile is False
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"note: XLA cannot compile the train step\. It runs without XLA\. Reason: Detected unsupported"
        r" operations when trying to compile graph \S+ on XLA_\w+_JIT: AsString"
        r" \(No registered 'AsString' OpKernel for XLA_\w+_JIT devices\)",
        line,
    )


def test_a_step_that_is_wrong_is_not_taken_for_one_that_xla_cannot_compile(digits):
    def step(model, x, y):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loops.traced(step)(compiled(dense, **PROGRAM), Batches(*digits, 7), None, 1, [])
