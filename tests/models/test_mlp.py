import keras
import numpy as np
import pytest

import kerasmlp
from helpers import cases, python
from kerasmlp.models import make_optimizer
from kerasmlp.models.mlp import MLP, compiled_mlp


def test_build_creates_the_variables_of_the_handbook():
    model = MLP()
    model.build((None, 28, 28, 1))
    shapes = {variable.path: tuple(variable.shape) for variable in model.variables}
    assert shapes == {
        "mlp/dense1/kernel": (784, 100),
        "mlp/dense1/bias": (100,),
        "mlp/dense2/kernel": (100, 10),
        "mlp/dense2/bias": (10,),
    }
    assert model.count_params() == 79_510
    assert model.head.count_params() == 1_010
    assert (MLP().name, MLP(name="mine").name) == ("mlp", "mine")  # Keras would count: mlp_1


def test_a_unit_is_a_weighted_sum_plus_a_bias():
    model = compiled_mlp((2, 3, 1), 4, hidden_units=(5,))
    x = np.random.default_rng(0).random((3, 2, 3, 1)).astype(np.float32)
    (w1, b1), (w2, b2) = (layer.get_weights() for layer in (model.hidden[0], model.head))
    hidden = np.maximum(x.reshape(3, 6) @ w1 + b1, 0)
    logits = hidden @ w2 + b2
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities = model(x).numpy()
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_integer_labels_have_the_loss_of_their_one_hot_vectors():
    model = compiled_mlp((2, 3, 1), 4)
    x = np.random.default_rng(0).random((6, 2, 3, 1)).astype(np.float32)
    y, y_pred = np.array([0, 1, 2, 3, 0, 1]), model(x)
    sparse = model.compute_loss(x, y, y_pred)
    dense = keras.losses.CategoricalCrossentropy()(keras.ops.one_hot(y, 4), y_pred)
    assert float(sparse) == float(dense)


def test_layer_sizes_follow_from_hidden_units_and_data():
    model = compiled_mlp((5, 4, 3), 7, hidden_units=(8, 6))
    assert [layer.name for layer in model.layers] == ["flatten", "dense1", "dense2", "dense3"]
    assert [w.shape for w in model.get_weights()[::2]] == [(60, 8), (8, 6), (6, 7)]


def test_the_model_is_compiled_as_asked():
    plain, other = compiled_mlp((2, 3, 1), 4), keras.optimizers.SGD(0.5)
    assert (plain.jit_compile, plain.steps_per_execution) == (False, 1)
    assert (plain.hidden_units, plain.classes, plain.is_quantized) == ((100,), 4, False)
    plain.evaluate(np.zeros((1, 2, 3, 1)), np.zeros(1), verbose=0)
    assert list(plain.get_metrics_result()) == ["loss", "accuracy"]
    assert isinstance(plain.optimizer, keras.optimizers.Adam)
    assert float(plain.optimizer.learning_rate) == np.float32(0.001)
    asked = compiled_mlp((2, 3, 1), 4, optimizer=other, jit_compile=True, steps_per_execution=7)
    assert (asked.jit_compile, asked.steps_per_execution, asked.optimizer) == (True, 7, other)


LOAD = [
    "import kerasmlp; model = kerasmlp.load('model.keras')",
    "import kerasmlp, keras; model = keras.models.load_model('model.keras')",
    "import keras, kerasmlp; model = keras.models.load_model('model.keras')",
]


@pytest.mark.parametrize("load", cases(LOAD, default=LOAD[:1]))
def test_a_saved_model_loads_in_a_process_that_imports_only_kerasmlp(tmp_path, load):
    model = compiled_mlp((4, 4, 1), 3, hidden_units=(5, 6), optimizer=make_optimizer(0.25))
    x = np.random.default_rng(0).random((2, 4, 4, 1)).astype(np.float32)
    model.optimizer.apply(model.trainable_variables, model.trainable_variables)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    program = f"""
import gc
gc.disable()  # the imports make no garbage, and so take a second less
{load}
import numpy as np
np.save("y.npy", model(np.load("x.npy")))
assert float(model.optimizer.learning_rate) == 0.25
assert int(model.optimizer.iterations) == 1
assert model.hidden_units == (5, 6)
"""
    done = python("-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "y.npy"), model(x))


def test_a_file_with_code_is_refused_and_the_code_does_not_run(tmp_path):
    ran = tmp_path / "ran"
    code = eval(f"lambda x: (__import__('pathlib').Path({str(ran)!r}).touch(), x)[1]")
    layers = [keras.Input((1,)), keras.layers.Lambda(code)]
    keras.Sequential(layers).save(tmp_path / "model.keras")
    ran.unlink()
    with pytest.raises(ValueError, match="Lambda"):
        kerasmlp.load(tmp_path / "model.keras")
    assert not ran.exists()


def test_loading_another_file_raises_a_value_error(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"model\.keras"):
        kerasmlp.load(path)
