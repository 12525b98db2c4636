"""The train step."""

import numpy as np
import tensorflow as tf

from helpers import compiled
from kerasmlp import loops
from small_models import dense


def test_train_step_returns_the_loss_of_the_batch(digits):
    images, labels = digits
    model = compiled(dense)
    x, y = images[:7] / np.float32(255), labels[:7]
    expected = float(model.compute_loss(x, y, model(x)))
    assert float(loops.train_step(model, tf.constant(x), tf.constant(y))) == expected
    assert int(model.optimizer.iterations) == 1
