"""The step that replicas share."""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import cases, python
from kerasmlp.data import Batches
from kerasmlp.distribute.strategy import Distribution

HERE = Path(__file__).parent


@pytest.mark.parametrize("count", cases((2, 6), default=(2,)))
def test_slices_of_all_sizes_make_the_step_of_one_device(count):
    done = python(HERE / "replicas.py", count, PYTHONPATH=os.pathsep.join(sys.path))
    assert done.returncode == 0, done.stderr
    differences = json.loads(done.stdout)
    assert len(differences["ours"]) == count
    assert max(differences["ours"]) < 1e-6, differences
    if count == 6:  # in Keras' own a slice counts as much as one with more examples
        assert differences["Keras' own"] > 1e-4


def test_a_model_with_two_outputs_is_refused():
    x = keras.Input((3,))
    model = keras.Model(x, [keras.layers.Dense(1)(x), keras.layers.Dense(1)(x)])
    model.compile("sgd", ["mse", "mse"], jit_compile=False)
    ones = np.ones((4, 3), np.float32)
    data = Batches(ones, (ones[:, :1], ones[:, :1]), 2, are_images=False)
    loop = Distribution(tf.distribute.MirroredStrategy(["CPU:0"])).loop("graph")
    with pytest.raises(ValueError, match=r"expects a model with one output; received <class 'list'>"):
        loop(model, data, None, 1)
