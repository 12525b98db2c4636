"""The batches that an execution reads one by one, and what Keras counts."""

import types

import keras
import tensorflow as tf

from kerasmlp.data import Epochs
from kerasmlp.loops.callback_list import Execution
from kerasmlp.loops.fit import _counted
from kerasmlp.loops.train_function import _Reader


class Five(Epochs):
    """The batches 10 to 14 in epoch 1, 20 to 24 in epoch 2; `read` notes where a dataset begins."""

    batch_size, steps_per_epoch = 1, 5

    def __init__(self, goes_on=False):
        self.read, self._goes_on = [], goes_on

    def epoch(self, epoch, first_step=0):
        self.read.append((epoch, first_step))
        return tf.data.Dataset.range(10 * epoch + first_step, 10 * epoch + 5)

    def onward(self, epoch, first_step=0):
        if not self._goes_on:
            return None
        self.read.append((epoch, first_step))
        return tf.data.Dataset.range(10 * epoch + first_step, 1000)


def read(train, executions):
    """Return what each execution takes, and whether the dataset is read on after it."""
    taken = []

    def run(batches, steps, reads_on):
        taken.append(([int(next(batches)) for _ in range(steps)], reads_on))

    training = types.SimpleNamespace(train=train, model=keras.Sequential())
    reader = _Reader(training, run)
    for execution in executions:
        reader(Execution(*execution))
    return taken


def test_an_epoch_is_read_by_one_dataset_to_its_end():
    train = Five()
    assert read(train, [(0, 0, 2), (0, 2, 2), (0, 4, 1), (1, 0, 2), (1, 4, 1), (2, 3, 2)]) == [
        ([0, 1], True),
        ([2, 3], True),
        ([4], False),
        ([10, 11], True),
        ([14], False),  # not where the last one ended
        ([23, 24], False),
    ]
    assert train.read == [(0, 0), (1, 0), (1, 4), (2, 3)]


def test_data_that_go_on_are_read_by_one_dataset_through_all_epochs():
    train = Five(goes_on=True)
    assert read(train, [(0, 3, 2), (1, 0, 3), (1, 3, 2), (3, 0, 1)]) == [
        ([3, 4], True),
        ([5, 6, 7], True),
        ([8, 9], True),
        ([30], True),
    ]
    assert train.read == [(0, 3), (3, 0)]


def test_keras_reads_batches_only_for_a_model_of_a_strategy():
    def counted(model):
        train = Five()
        dataset = _counted(types.SimpleNamespace(model=model, train=train, initial_epoch=2))
        return [int(batch) for batch in dataset], train.read

    assert counted(keras.Sequential()) == ([0, 1, 2, 3, 4], [])
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        model = keras.Sequential()
    assert counted(model) == ([20, 21, 22, 23, 24], [(2, 0)])
