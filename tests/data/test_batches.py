import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerasmlp.data import tensors
from kerasmlp.data.batches import Batches, in_order
from kerasmlp.data.tensors import scale


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


def ungrouped(batches, steps, epochs):
    """The batches of all groups of `epochs`, in order."""
    taken = []
    per_epoch = -(-batches.steps_per_epoch // steps)
    for group in batches.groups(steps).take(epochs * per_epoch):
        for count, parts in batches.load(group, steps):
            for position in range(int(count)):
                taken.append([part.numpy() for part in batches.prepare(*(p[position] for p in parts))])
    return taken


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
@pytest.mark.parametrize(
    "steps, count, batch_size", [(1, 40, 7), (3, 40, 7), (5, 40, 7), (3, 40, 8), (50, 40, 7), (2, 3, 3)]
)
def test_groups_hold_the_batches_of_the_epochs(
    steps, count, batch_size, sampling, mapped, tmp_path, digits
):
    images, labels = digits[0][:count], digits[1][:count]
    if mapped:
        images.tofile(tmp_path / "images")
        images = np.memmap(tmp_path / "images", np.uint8, "r", shape=images.shape)
    batches = Batches(images, labels, batch_size, seed=3, sampling=sampling)
    expected = [batch for epoch in range(3) for batch in contents(batches.epoch(epoch))]
    received = ungrouped(batches, steps, 3)
    assert len(received) == len(expected) == 3 * batches.steps_per_epoch
    for (x, y), (expected_x, expected_y) in zip(received, expected, strict=True):
        assert x.dtype == np.float32
        assert np.array_equal(x, expected_x)
        assert np.array_equal(y, expected_y)


def test_bytes_are_scaled_alike_with_xla_and_without():
    """Each is the nearest float32 to its quotient by 255."""
    images = np.arange(256, dtype=np.uint8)
    expected = (images / np.float64(255)).astype(np.float32)
    for jit_compile in (False, True):
        scaled = tf.function(lambda x: scale(x), jit_compile=jit_compile)(tf.constant(images))
        assert np.array_equal(scaled, expected)


def test_what_is_read_from_a_mapped_file_is_not_kept_in_memory(tmp_path):
    path = tmp_path / "images"
    with path.open("wb") as file:
        file.truncate(2**28)
    images = np.memmap(path, np.uint8, "r", shape=(2**18, 32, 32, 1))
    batches = Batches(images, np.zeros(len(images)), 4096)
    next(iter(batches.epoch(0)))
    mapped = re.search(rf"{path}.*?Rss: +(\d+) kB", Path("/proc/self/smaps").read_text(), re.DOTALL)
    assert int(mapped[1]) < 2**14


@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64"])
def test_a_large_array_becomes_the_tensor_that_a_small_one_becomes(dtype, monkeypatch):
    monkeypatch.setattr(tensors, "COPIED_AT_ONCE", 1)
    array = np.arange(3 * 4 * 5).reshape(3, 4, 5).astype(dtype)[:, :, :3]
    tensor = tensors.as_tensor(array)
    expected = array.copy()
    array[:] = 0  # the tensor has memory of its own
    assert tensor.dtype == array.dtype
    assert np.array_equal(tensor.numpy(), expected)
    assert np.array_equal(tf.gather(tensor, [2, 0]).numpy(), expected[[2, 0]])
