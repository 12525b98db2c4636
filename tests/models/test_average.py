import keras
import pytest

from helpers import assert_same, compiled, state
from kerasmlp.models import averaged_weights
from small_models import average, dense, half_precision


def scaled_average():
    return keras.optimizers.LossScaleOptimizer(average(), initial_scale=8.0)


CASES = {
    "Adam": {"layers": dense, "optimizer": average},
    "LossScaleOptimizer": {
        "layers": half_precision,
        "dtype": "mixed_float16",
        "optimizer": scaled_average,
    },
}


def trained(digits, **compilation):
    """A model after five steps. Its weights are not the averages, as `fit` makes them at the end."""
    model = compiled(**compilation)
    for _ in range(5):
        model.train_on_batch(*digits)
    return model


def averages(model):
    """The averages that the optimizer keeps, in the order of the trainable variables."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return [variable.numpy() for variable in optimizer.variables if variable.name.endswith("average")]


@pytest.mark.parametrize("name", CASES)
def test_the_weights_are_the_averages_within_the_context_and_come_back(name, digits):
    model = trained(digits, **CASES[name])
    before, weights, expected = state(model), model.get_weights(), averages(model)
    assert len(expected) == len(model.trainable_variables) == 4
    assert all((one != other).any() for one, other in zip(expected, weights, strict=True))
    with averaged_weights(model):
        assert_same([variable.numpy() for variable in model.trainable_variables], expected)
    assert_same(state(model), before)
    with pytest.raises(ZeroDivisionError), averaged_weights(model):
        raise ZeroDivisionError
    assert_same(state(model), before)


def test_without_an_average_or_an_optimizer_nothing_changes(digits):
    model = trained(digits, layers=dense)
    before = state(model)
    with averaged_weights(model):
        assert_same(state(model), before)
        model.layers[1].bias.assign([7.0] * 8)
    assert model.layers[1].bias.numpy().tolist() == [7.0] * 8, "no weights are put back"
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(None, "mse")
    before = model.get_weights()
    with averaged_weights(model):
        assert_same(model.get_weights(), before)
