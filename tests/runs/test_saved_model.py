"""The trained model in its file: whole, or its weights alone."""

import keras
import numpy as np
import pytest

from helpers import assert_same, compiled, datasets
from kerasmlp.runs import saved_model
from small_models import dense


def trained():
    model = compiled(dense)
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(7)
    return model


def makes_a_model():
    return compiled(dense)


class Unnamed(keras.Model):
    """Keras cannot save it: its constructor has an argument that no configuration holds."""

    def __init__(self, function):
        super().__init__()
        self.dense, self.function = keras.layers.Dense(2), function

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        raise NotImplementedError("one\n  reason " + "x" * 300)


def makes_unnamed():
    model = Unnamed(print)
    model.compile("sgd", "mse", jit_compile=False)
    return model


@pytest.mark.parametrize("include_optimizer, steps", [(True, 7), (False, 0)])
def test_a_model_is_saved_with_or_without_its_optimizer(include_optimizer, steps, tmp_path, recwarn):
    model, path = trained(), tmp_path / "a.keras"
    optimizer = model.optimizer
    saved_model.save(model, path, include_optimizer)
    assert model.optimizer is optimizer
    loaded = saved_model.load(path)
    assert_same(loaded.get_weights(), model.get_weights())
    assert int(loaded.optimizer.iterations) == steps
    assert not [each for each in recwarn if "optimizer" in str(each.message)]


def test_an_optimizer_that_was_not_used_is_left_out(tmp_path):
    model = compiled(dense)
    saved_model.save(model, tmp_path / "a.keras")
    assert model.optimizer is not None
    model.optimizer = None
    saved_model.save(model, tmp_path / "b.keras")
    assert model.optimizer is None
    for name in ("a", "b"):
        assert_same(saved_model.load(tmp_path / f"{name}.keras").get_weights(), model.get_weights())


def test_of_a_model_that_keras_cannot_save_the_weights_are_saved(tmp_path, capsys):
    model = makes_unnamed()
    model(np.ones((1, 3), np.float32))
    model.optimizer.build(model.trainable_variables)
    optimizer = model.optimizer
    path = tmp_path / "a.keras"
    saved_model.save(model, path)
    assert model.optimizer is optimizer
    beside = tmp_path / "a.weights.h5"
    reason = ("one reason " + "x" * 300)[:200]
    said = f"note: Keras cannot save this model; its weights are saved: {beside}. Reason: {reason}\n"
    assert capsys.readouterr().err == said
    assert [file.name for file in tmp_path.iterdir()] == ["a.weights.h5"]
    assert datasets(beside)
    loaded = saved_model.load_into_new(f"{__name__}:makes_unnamed", path, "float32 [3]")
    assert_same(loaded.get_weights(), model.get_weights())
    assert loaded.optimizer.built


def test_a_saved_model_is_loaded_into_the_one_that_its_function_makes(tmp_path):
    model, path = trained(), tmp_path / "a.keras"
    model.set_weights([weight + 1 for weight in model.get_weights()])
    saved_model.save(model, path)
    loaded = saved_model.load_into_new(f"{__name__}:makes_a_model", path, None)
    assert_same(loaded.get_weights(), model.get_weights())
    assert int(loaded.optimizer.iterations) == 7
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"a\.keras"):
        saved_model.load_into_new(f"{__name__}:makes_a_model", path, None)


@pytest.mark.parametrize(
    "error, received, said",
    [
        (OSError("a"), OSError, "^a$"),
        (MemoryError("a"), MemoryError, "^a$"),
        (KeyError("a"), ValueError, "^x: expected a saved Keras model; the file is damaged$"),
        (TypeError("no class A. Full object config: {}"), ValueError, "^x: no class A. $"),
        (UnicodeDecodeError("utf-8", b"a", 0, 1, "b"), ValueError, "can't decode byte"),
    ],
)
def test_errors_of_keras_are_named_by_the_file(error, received, said):
    with pytest.raises(received, match=said), saved_model._value_errors("x"):
        raise error
