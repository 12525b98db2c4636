import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasmlp
from helpers import assert_same, cases, run, state
from kerasmlp.models.mlp import MLP, calibrated
from kerasmlp.models.quantization import QuantizedDense, plain, rounded
from small_models import mlp


@pytest.mark.parametrize("bits, largest", [(8, 127), (4, 7)])
def test_each_unit_has_its_own_scale(bits, largest):
    kernel = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32) * [1, 10, 0.01]
    scale = np.abs(kernel).max(axis=0) / largest
    integers = rounded(tf.constant(kernel, tf.float32), bits).numpy() / scale
    np.testing.assert_allclose(integers, np.rint(kernel / scale), atol=1e-4)
    assert np.abs(integers).max(axis=0) == pytest.approx([largest] * 3)


def test_outputs_are_rounded_to_256_values_of_the_range_seen_in_training():
    layer = QuantizedDense(1, kernel_initializer="ones")
    x = np.linspace(-1, 3, 1000, dtype=np.float32)[:, None]
    layer(x[:500], training=True)
    layer(x, training=True)
    assert (float(layer.lowest), float(layer.highest)) == (-1, 3)
    step = 4 / 255
    outputs = layer(x)
    assert len(np.unique(outputs)) == 256
    assert np.abs(outputs - x).max() == pytest.approx(step / 2, rel=0.01)
    beyond = layer(10 * x)
    assert (beyond.numpy().min(), beyond.numpy().max()) == pytest.approx((-1, 3), abs=step)
    assert (float(layer.lowest), float(layer.highest)) == (-1, 3)


def test_a_model_finds_its_ranges_only_in_training_and_is_the_same_as_plain_layers():
    model = MLP((5,), 3, "int8")
    model.build((None, 2, 3, 1))
    x = np.random.default_rng(0).random((4, 2, 3, 1)).astype(np.float32)
    ranges = [
        variable for layer in (*model.hidden, model.head) for variable in (layer.lowest, layer.highest)
    ]
    assert [variable.name for variable in ranges] == ["lowest", "highest"] * 2
    model(x)
    assert not any(float(variable) for variable in ranges)
    model(x, training=True)
    assert [float(variable) != 0 for variable in ranges] == [False, True, True, True]
    names = [layer.name for layer in plain(model, ranges=True).layers[2:5:2]]
    assert names == ["dense1", "dense2"]
    pixels = np.rint(255 * x).astype(np.float32) / 255
    np.testing.assert_allclose(plain(model, ranges=True)(pixels), model(pixels), atol=1e-6)
    without = plain(model, ranges=False)
    hidden = np.maximum(x.reshape(4, 6) @ without.get_weights()[0] + without.get_weights()[1], 0)
    logits = hidden @ without.get_weights()[2] + without.get_weights()[3]
    np.testing.assert_allclose(without(x), tf.nn.softmax(logits), rtol=1e-5)


def test_each_part_of_a_model_finds_its_ranges_only_if_it_is_asked_to():
    model = MLP((5,), 3, "int8")
    model.build((None, 2, 3, 1))
    x = np.ones((4, 2, 3, 1), np.float32)
    first, second = model.hidden[0], model.head

    def ranges():
        return [layer.highest.numpy() != layer.lowest.numpy() for layer in (first, second)]

    first.call(model.flatten(x))
    model.activations(x)
    model.call(x)
    assert ranges() == [False, False]
    model.activations(x, training=True)
    assert ranges() == [True, False]
    model.call(x, training=True)
    assert ranges() == [True, True]


def test_the_layers_have_these_names_in_files():
    names = [keras.saving.get_registered_name(kind) for kind in (MLP, QuantizedDense)]
    assert names == ["kerasmlp>MLP", "kerasmlp>QuantizedDense"]
    assert QuantizedDense(2).get_config()["bits"] == 8


def test_gradients_pass_straight_through_the_rounding():
    x = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    layer = QuantizedDense(2, bits=4)
    layer.build((5, 4))
    # Rounding shifts a range slightly, and outputs beyond the range have no gradient.
    layer.lowest.assign(-99.0)
    layer.highest.assign(99.0)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(x, training=True))
    kernel, bias = tape.gradient(total, layer.trainable_variables)
    np.testing.assert_allclose(kernel, np.repeat(x.sum(axis=0)[:, None], 2, axis=1), rtol=1e-6)
    np.testing.assert_array_equal(bias, [5, 5])


@pytest.mark.parametrize("quantize", cases(("int8", "int4"), default=("int8",)))
def test_all_loops_are_identical_bit_for_bit(quantize, digits):
    models = {loop: mlp(quantize) for loop in ("fit", "graph", "eager")}
    histories = [run(loop, model, digits, validation=False) for loop, model in models.items()]
    assert histories[0] == histories[1] == histories[2]
    for loop in ("graph", "eager"):
        assert_same(state(models[loop]), state(models["fit"]))
    ranges = [float(layer.highest) for layer in models["fit"].hidden]
    assert all(ranges)


@pytest.mark.parametrize("loop", cases(("fit", "graph"), default=()))
def test_the_program_of_many_steps_equals_keras_own_xla_step(loop, digits):
    of_one_shape = {"batch_size": 10, "validation": False}  # each takes XLA seconds
    one_by_one = mlp("int8", jit_compile=True)
    together = mlp("int8", jit_compile=True, steps_per_execution=50)
    expected = run("fit", one_by_one, digits, **of_one_shape)
    assert run(loop, together, digits, **of_one_shape) == expected
    assert_same(state(together), state(one_by_one))


def test_a_saved_model_predicts_the_same(digits, tmp_path):
    model = mlp("int4")
    run("fit", model, digits, validation=False)
    model.save(tmp_path / "model.keras")
    x = digits[0] / np.float32(255)
    loaded = kerasmlp.load(tmp_path / "model.keras")
    assert loaded.head.bits == 4
    np.testing.assert_array_equal(loaded(x), model(x))


def test_post_training_quantization_keeps_the_weights_and_finds_the_ranges(digits):
    model = mlp("none")
    run("fit", model, digits, validation=False)
    x = digits[0] / np.float32(255)
    quantized = calibrated(model, x, "int8")
    for one, other in zip(quantized.trainable_variables, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, other)
    kernel, bias, *_ = (variable.numpy() for variable in quantized.trainable_variables)
    hidden = np.maximum(x.reshape(40, 36) @ rounded(kernel, 8).numpy() + bias, 0)
    assert float(quantized.hidden[0].highest) == pytest.approx(hidden.max(), rel=1e-5)
    assert float(quantized.hidden[0].lowest) == 0
    assert np.abs(quantized(x) - model(x)).max() < 0.05
