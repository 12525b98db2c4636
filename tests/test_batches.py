import numpy as np
import pytest
import tensorflow as tf

from kerasmlp.batches import Batches, in_order


def contents(dataset):
    return [(x.numpy(), y.numpy()) for x, y in dataset]


def numbered(count, batch_size, **options):
    """Batches whose labels are the positions of the examples."""
    images = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return Batches(images, np.arange(count), batch_size, **options)


@pytest.mark.parametrize(
    "count, batch_size, sizes", [(40, 7, [7] * 5 + [5]), (40, 8, [8] * 5), (3, 3, [3])]
)
def test_a_shuffled_epoch_takes_every_example_once(count, batch_size, sizes):
    batches = numbered(count, batch_size)
    for epoch in range(3):
        labels = [y for _, y in contents(batches.epoch(epoch))]
        assert [len(y) for y in labels] == sizes
        assert sorted(np.concatenate(labels)) == list(range(count))
    assert batches.steps_per_epoch == len(sizes)


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {
        (seed, epoch): tuple(
            np.concatenate([y for _, y in contents(numbered(40, 7, seed=seed).epoch(epoch))])
        )
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(set(orders.values())) == 4


@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
def test_the_batch_follows_from_seed_and_step_alone(sampling):
    batches = numbered(40, 7, seed=2, sampling=sampling)
    steps = batches.steps_per_epoch
    for epoch in (0, 2):
        for position, (x, y) in enumerate(contents(batches.epoch(epoch))):
            chosen = batches.indices(tf.constant(epoch * steps + position)).numpy()
            assert np.array_equal(y, chosen)
            assert np.array_equal(x.ravel(), chosen.astype(np.float32) / np.float32(255))


def test_opening_a_dataset_again_changes_nothing():
    dataset = numbered(40, 7).epoch(3)
    iter(dataset)
    next(iter(dataset))
    once, again = contents(dataset), contents(dataset)
    for (x, y), (other_x, other_y) in zip(once, again, strict=True):
        assert np.array_equal(x, other_x)
        assert np.array_equal(y, other_y)


def test_a_dataset_of_a_variable_is_the_epoch_that_it_holds():
    batches, epoch = numbered(40, 7), tf.Variable(0, dtype=tf.int64)
    following = batches.epoch(epoch)
    for number in (2, 0, 1):
        epoch.assign(number)
        for (_, y), (_, expected) in zip(
            contents(following), contents(batches.epoch(number)), strict=True
        ):
            assert np.array_equal(y, expected)


def test_replacement_draws_full_batches_uniformly():
    batches = numbered(10, 4, sampling="replacement")
    assert batches.steps_per_epoch == 2
    drawn = np.concatenate([batches.indices(tf.constant(step)).numpy() for step in range(2500)])
    counts = np.bincount(drawn, minlength=10)
    # 10,000 draws: 1,000 of each, with a standard deviation of 30.
    assert abs(counts - 1000).max() < 150
    first = batches.indices(tf.constant(0)).numpy()
    assert any(len(set(batches.indices(tf.constant(step)).numpy())) < 4 for step in range(20)), first


def test_evaluation_keeps_the_order_and_the_last_partial_batch():
    images = np.arange(10, dtype=np.uint8)[:, None, None, None]
    read = contents(in_order(images, np.arange(10), batch_size=4))
    assert [len(y) for _, y in read] == [4, 4, 2]
    assert np.array_equal(np.concatenate([y for _, y in read]), np.arange(10))
    assert np.concatenate([x for x, _ in read]).dtype == np.float32
