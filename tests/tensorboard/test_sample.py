import keras
import numpy as np
from keras import layers

from kerasmlp.data.examples import Examples
from kerasmlp.tensorboard.sample import Sample, trainable_weights


def test_weights_of_the_same_path_get_numbers():
    dense = [layers.Dense(units, use_bias=False, name="same") for units in (2, 3, 4)]

    class Stacked(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = dense

        def call(self, x):
            return self.dense[2](self.dense[1](self.dense[0](x)))

    model = Stacked()
    model(keras.ops.ones((1, 1)))
    shapes = {name: weight.shape for name, weight in trainable_weights(model).items()}
    assert len(shapes) == 3
    first = next(iter(shapes))
    assert shapes == {first: (1, 2), f"{first}_1": (2, 3), f"{first}_2": (3, 4)}


def test_a_sample_that_cannot_be_evaluated_is_noted_once_and_has_nothing(capsys):
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    sample = Sample(Examples(None))
    for _ in range(2):
        assert sample.metrics(model) == {} and sample.gradients(model) == {}
    notes = capsys.readouterr().err.splitlines()
    assert [note[: note.index(" of this model")] for note in notes] == [
        "note: TensorBoard shows no metrics of a sample",
        "note: TensorBoard shows no gradients",
    ]


def test_a_sample_is_evaluated_again_at_another_step_alone():
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1, use_bias=False, name="only")])
    model.compile(None, keras.losses.MeanSquaredError())
    model.evaluate(np.ones((1, 1)), np.ones((1, 1)), verbose=0)
    (kernel,) = model.trainable_variables
    sample = Sample(Examples(np.ones((2, 1), np.float32), np.zeros((2, 1), np.float32)))
    found = []
    for step, weight in ((1, 3.0), (1, 4.0), (2, 4.0)):
        kernel.assign([[weight]])
        of_step = sample.at(step)
        found.append((of_step.metrics(model), of_step.gradients(model)["only/kernel"].item()))
    assert found == [({"loss": 9.0}, 6.0), ({"loss": 9.0}, 6.0), ({"loss": 16.0}, 8.0)]
