"""A loop whose steps are checked, in this process."""

import keras

from kerasmlp.comparison.start import Start
from kerasmlp.comparison.trajectory import check_loop
from kerasmlp.data import Parts

EPOCH = 7
"""Steps of an epoch: 200 examples in batches of 32 leave a partial batch of 8."""


def check(loop, factory, data, jit_compile=False, length=200, weights=None, **options):
    """Train two epochs with `loop`, and compare its steps. Return the trajectory.

    Args:
        loop: the loop.
        factory: makes the model, and that of the reference, with `options`.
        data: a loader.
        jit_compile: whether the model of the loop is compiled with XLA.
        length: the number of examples.
        weights: the weight of each label, as an array. None for none.
        options: for `factory`.
    """

    def make():
        keras.utils.set_random_seed(3)
        return factory(**options)

    model, reference = make(), make()
    model.jit_compile = jit_compile
    x, y = data.train_data[:length], data.train_label[:length]
    digits = Parts((x, y) if weights is None else (x, y, weights[y]))
    start = Start(make, digits, digits, 32, seed=5, are_images=True)
    return check_loop(loop, model, reference, start, epochs=2)
