"""A user's dataset is saved with its batches and their order, if it has a fixed one."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kerasmlp.data import SavedDataset

X = np.arange(22, dtype=np.float32).reshape(11, 2)
DATA = tf.data.Dataset.from_tensor_slices(({"a": X, "b": X[:, 0]}, np.arange(11)))


def test_batches_are_read_back_in_their_order(tmp_path):
    saved = SavedDataset.save(DATA.batch(4), tmp_path)
    assert (saved.steps_per_epoch, saved.batch_size, saved.examples) == (3, 4, 11)
    for epoch in (0, 1):
        batches = list(saved.batches().epoch(epoch).as_numpy_iterator())
        assert np.array_equal(np.concatenate([x["a"] for x, _ in batches]), X)
        assert np.array_equal(np.concatenate([y for _, y in batches]), np.arange(11))
    ((x, y),) = saved.batches().epoch(0, first_step=2)
    assert np.array_equal(x["b"], X[8:, 0])
    assert np.array_equal(y, [8, 9, 10])


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (DATA.shuffle(11).batch(4), "the same batches in the same order each time"),
        (DATA.repeat().batch(4), "expected a finite one"),
        (DATA.take(0).batch(4), "at least one batch; received none"),
        (tf.data.Dataset.range(5), "expected batches; received single examples"),
    ],
    ids=["shuffled", "infinite", "empty", "unbatched"],
)
def test_a_dataset_without_fixed_batches_is_refused(dataset, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        SavedDataset.save(dataset, tmp_path / "saved")


def test_the_first_batch_that_changes_is_named(tmp_path):
    passes = itertools.count()

    def numbers():
        return iter([0, 1, next(passes)])  # the third one counts how often the dataset is read

    dataset = tf.data.Dataset.from_generator(numbers, output_signature=tf.TensorSpec([], tf.int64))
    with pytest.raises(ValueError, match=r"\b3\b"):
        SavedDataset.save(dataset.batch(1), tmp_path / "saved")
