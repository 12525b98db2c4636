import keras
from keras import layers

from kerasmlp.tensorboard.sample import trainable_weights


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
