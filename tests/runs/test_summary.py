import keras
import numpy as np
import pytest

from kerasmlp.data.batches import Batches
from kerasmlp.runs import summary
from kerasmlp.runs.fit_settings import FitSettings


@pytest.mark.parametrize(
    "layers, named", [(2, "d0, d1"), (6, "d0, d1, d2, d3, d4, d5"), (9, "d0, d1, d2, d3, ..., d8")]
)
def test_many_layers_are_not_all_named(layers, named):
    dense = [keras.layers.Dense(2, name=f"d{number}") for number in range(layers)]
    model = keras.Sequential([keras.Input((2,)), *dense], name="mine")
    model.compile("sgd", "mse", jit_compile=False)
    x = np.zeros((5, 2), np.float32)
    train = Batches(x, x, 2, are_images=False)
    assert summary.lines(
        FitSettings(epochs=2), model, train, "/a/b/x.npz", validation=1200, test=None
    ) == [
        f"model: mine ({named})",
        f"parameters: {6 * layers}",
        "data: x.npz, 3 batches of 2, 1,200 validation examples",
        "loop: fit, 2 epochs",
        "compilation: tf.function",
    ]
