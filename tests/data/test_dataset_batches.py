"""A user's dataset: its batches in its own order, by epochs and in groups."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasmlp
from helpers import cases
from kerasmlp.data import DatasetBatches
from kerasmlp.data.dataset_batches import check_same

DATA = tf.data.Dataset.range(10).map(lambda n: ({"a": n}, -n))
FULL = DATA.batch(2, drop_remainder=True)


def labels(batches):
    return [-batch[1].numpy().ravel() for batch in batches]


def test_each_epoch_has_the_batches_of_the_dataset():
    batches = DatasetBatches.of(DATA.batch(4))
    assert (batches.steps_per_epoch, batches.batch_size) == (3, 4)
    for epoch in (0, 3):
        assert np.array_equal(np.concatenate(labels(batches.epoch(epoch))), np.arange(10))
    assert np.array_equal(np.concatenate(labels(batches.epoch(1, first_step=2))), [8, 9])


def test_with_steps_per_epoch_the_next_epoch_goes_on():
    for dataset in (FULL, FULL.repeat()):
        batches = DatasetBatches.of(dataset, steps_per_epoch=3)
        assert np.array_equal(np.concatenate(labels(batches.epoch(0))), np.arange(6))
        assert np.array_equal(np.concatenate(labels(batches.epoch(1))), [6, 7, 8, 9, 0, 1])
        assert np.array_equal(np.concatenate(labels(batches.epoch(1, first_step=2))), [0, 1])


def test_onward_begins_at_the_beginning_of_an_epoch():
    batches = DatasetBatches.of(FULL, steps_per_epoch=3)
    assert np.array_equal(next(iter(labels(batches.onward(1).take(1)))), [6, 7])
    assert np.array_equal(next(iter(labels(batches.onward(1, 1).take(1)))), [8, 9])
    assert DatasetBatches.of(FULL).onward(1) is None


def train_on(examples, batched, loop, steps_per_execution, **arguments):
    """Train on batches of two examples; return the numbers of the examples that were made."""
    made = []

    def example(number):
        made.append(int(number))
        return np.float32([number])

    def pair(number):
        x = tf.ensure_shape(tf.numpy_function(example, [number], tf.float32), [1])
        return x, x

    dataset = batched(tf.data.Dataset.range(examples).map(pair).batch(2, drop_remainder=True))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    is_program = loop == "program"
    model.compile("sgd", "mse", jit_compile=is_program, steps_per_execution=steps_per_execution)
    kerasmlp.fit(model, dataset, loop="fit" if is_program else loop, verbose=0, **arguments)
    return made


@pytest.mark.parametrize("steps_per_epoch", [9, 10])
@pytest.mark.parametrize("loop", cases(("fit", "graph", "program"), default=("fit", "program")))
def test_a_dataset_without_end_is_read_once(loop, steps_per_epoch):
    """An epoch goes on where the one before ended, and nothing is read and skipped for it."""
    made = train_on(
        40, lambda batches: batches.repeat(), loop, 3, steps_per_epoch=steps_per_epoch, epochs=12
    )
    used = 2 * steps_per_epoch * 12
    assert used <= len(made) < 2 * used  # the first ones twice, some ahead


@pytest.mark.parametrize("loop", cases(("fit", "graph", "program"), default=("graph",)))
def test_a_cached_dataset_is_made_once(loop):
    made = train_on(12, lambda batches: batches.cache(), loop, 2, epochs=5)
    assert len(made) < 5 * 12  # twice the first ones, and those that are read ahead


@pytest.mark.parametrize("initial_step", cases(range(12), default=(0, 4, 11)))
@pytest.mark.parametrize("steps_per_epoch", [None, 3])
def test_groups_are_the_batches_of_the_epochs(initial_step, steps_per_epoch):
    batches = DatasetBatches.of(FULL, steps_per_epoch)
    expected = [y for epoch in range(9) for y in labels(batches.epoch(epoch))][initial_step:]
    ends, read, step = [], [], initial_step
    for group in itertools.islice(batches.groups(2, initial_step), 7):
        ((count, (x, y)),) = batches.load(group, 2)
        assert x["a"].shape == y.shape == (2, 2)
        read += list(-y.numpy()[: int(count)])
        step += int(count)
        ends.append(step % batches.steps_per_epoch)
    assert np.array_equal(read, expected[: len(read)])
    assert all(end % 2 == 0 or end == 0 for end in ends)


def test_batches_of_unknown_shape_have_no_groups():
    assert DatasetBatches.of(FULL).has_groups
    assert not DatasetBatches.of(DATA.batch(4)).has_groups
    assert not DatasetBatches.of(DATA.ragged_batch(2)).has_groups


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (DATA.shuffle(10).batch(4), "the same batches in the same order each time"),
        (DATA.repeat().batch(4), "a finite one, or steps_per_epoch; received one without end"),
        (DATA.filter(lambda x, y: y < 0).batch(4), "known; received one of unknown size. Use"),
        (DATA.take(0).batch(4), "at least one batch; received none"),
        (DATA, "expected batches; received single examples"),
    ],
    ids=["shuffled", "infinite", "unknown", "empty", "unbatched"],
)
def test_other_datasets_are_refused(dataset, message):
    with pytest.raises(ValueError, match=message):
        DatasetBatches.of(dataset)


class Changes:
    """A dataset of five batches, of which one is another one when it is read again."""

    def __init__(self, number):
        self.number, self.reads = number, 0

    def dataset(self):
        def batches():
            self.reads += 1
            for number in range(1, 6):
                yield [number, self.reads if number == self.number else 0]

        spec = tf.TensorSpec([2], tf.int64)
        dataset = tf.data.Dataset.from_generator(batches, output_signature=spec)
        return dataset.apply(tf.data.experimental.assert_cardinality(5))


@pytest.mark.parametrize("number, is_found", [(1, True), (3, True), (4, False), (5, False)])
def test_the_first_three_batches_are_read_twice(number, is_found):
    if is_found:
        with pytest.raises(ValueError, match=f"received another batch {number} the second time"):
            DatasetBatches.of(Changes(number).dataset())
    else:
        assert len(DatasetBatches.of(Changes(number).dataset())) == 5


def test_the_fingerprint_is_of_the_first_three_batches_and_their_number():
    numbers = np.arange(10)

    def fingerprint(place=None, steps=None):
        changed = numbers.copy()
        if place is not None:
            changed[place] = 99
        return DatasetBatches.of(
            tf.data.Dataset.from_tensor_slices(changed).batch(2), steps
        ).fingerprint()

    same = fingerprint()
    assert len({same, fingerprint(0), fingerprint(5), fingerprint(steps=3)}) == 4
    assert fingerprint(6) == fingerprint(9) == fingerprint() == same


def test_the_size_of_a_batch_is_that_of_the_first_one():
    batches = DatasetBatches.of(DATA.batch(4), steps_per_epoch=2)
    assert (batches.batch_size, batches.steps_per_epoch, batches.continues) == (4, 2, True)
    assert not DatasetBatches.of(DATA.batch(4)).continues
    assert len(list(DatasetBatches.of(FULL).epoch(0, first_step=5))) == 0
    assert int(batches.epoch(0, 1).cardinality()) == 1


@pytest.mark.parametrize("values", [["one", "two"], [1.5, 2.0], [1, 2]])
def test_a_batch_that_is_another_one_is_found(values):
    batch = tf.constant(values), tf.constant([0, 1])
    check_same(batch, (tf.constant(values), tf.constant([0, 1])), 3)
    for other in ((tf.constant(values[::-1]), batch[1]), (batch[0], tf.constant([0, 2]))):
        with pytest.raises(ValueError, match="received another batch 3 the second time"):
            check_same(batch, other, 3)
