import keras
import numpy as np
import pytest

from helpers import assert_same, compiled, run, state
from kerasmlp.models import make_optimizer
from small_models import dense


def test_the_default_is_the_optimizer_of_the_handbook():
    made = make_optimizer()
    expected = keras.optimizers.Adam(0.001).get_config()
    assert made.get_config() | {"name": "adam"} == {**expected, "name": "adam"}


def schedule(made):
    return keras.optimizers.schedules.deserialize(made.get_config()["learning_rate"])


def test_the_learning_rate_rises_and_falls_along_a_cosine():
    rate = schedule(make_optimizer(0.5, cosine_steps=1000))
    rates = np.array([float(rate(step)) for step in range(1001)])
    assert rates[0] == 0
    assert np.allclose(rates[:21], 0.5 * np.arange(21) / 20)
    assert np.allclose(rates[20:], 0.25 * (1 + np.cos(np.pi * np.arange(981) / 980)), atol=1e-6)
    assert rates[1000] < 1e-7


def test_a_schedule_of_few_steps_has_no_warmup():
    rate = schedule(make_optimizer(learning_rate=0.5, cosine_steps=10))
    assert [round(float(rate(step)), 4) for step in (0, 5, 10)] == [0.5, 0.25, 0]


def test_weight_decay_shrinks_kernels_but_not_biases():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, bias_initializer="ones")])
    kernel, bias = (variable.numpy() for variable in model.trainable_variables)
    made = make_optimizer(0.5, weight_decay=0.1)
    made.apply([np.zeros((2, 2)), np.zeros(2)], model.trainable_variables)
    assert np.allclose(model.trainable_variables[0].numpy(), kernel * (1 - 0.5 * 0.1))
    assert np.array_equal(model.trainable_variables[1].numpy(), bias)


def test_the_trained_weights_are_the_moving_average():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    (kernel,) = model.trainable_variables
    made = make_optimizer(0.25, ema_momentum=0.5)
    average = None
    for _ in range(4):
        made.apply([np.ones((1, 1))], [kernel])
        value = kernel.numpy()
        average = value if average is None else 0.5 * average + 0.5 * value
    assert not np.array_equal(kernel.numpy(), average)
    made.finalize_variable_values([kernel])
    assert np.allclose(kernel.numpy(), average)


@pytest.mark.thorough
@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_and_graph_agree_with_schedule_weight_decay_and_average(digits, jit_compile):
    """The eager loop rounds differently, because its schedule is not fused: see the README."""

    def made():
        return make_optimizer(0.01, weight_decay=0.01, cosine_steps=18, ema_momentum=0.9)

    states = []
    for loop, steps in (("fit", 1), ("graph", 3)):
        model = compiled(dense, optimizer=made, jit_compile=jit_compile, steps_per_execution=steps)
        run(loop, model, digits, epochs=3, validation=False)
        states.append(state(model))
    assert_same(*states)
