import keras
import tensorflow as tf

from kerasmlp.models.attributes import optimizers, plain_variables


class Holder(keras.Model):
    """Has optimizers and variables as attributes, some of them within lists, tuples and dicts."""

    def __init__(self):
        super().__init__()
        self.found = [keras.optimizers.SGD(), keras.optimizers.Adam(), keras.optimizers.Lion()]
        self.variables_of_mine = [tf.Variable(float(number)) for number in range(3)]
        self.one = self.found[0]
        self.pair = (self.variables_of_mine[0], {"other": self.found[1:]})
        self.counts = {"all": [self.variables_of_mine[2], "no variable"]}


def test_what_a_model_holds_is_found_once_and_not_what_it_compiled_twice():
    model = Holder()
    model.compile(None, "mse")
    expected = [model.found, model.variables_of_mine]
    assert [optimizers(model), plain_variables(model)] == expected
    model.compile("rmsprop")
    assert optimizers(model) == [model.optimizer, *model.found]
    model.compile(model.found[2])
    assert optimizers(model) == [model.found[2], *model.found[:2]]


def test_a_model_without_any_holds_none():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(None, "mse")
    assert (optimizers(model), plain_variables(model)) == ([], [])
