import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from helpers import cases
from kerasmlp.data import Batches, DatasetBatches, Examples

FEW = tf.data.Dataset.range(3).batch(1)


def contents(dataset):
    return [(x.numpy(), y.numpy()) for x, y in dataset]


def numbered(count, batch_size, **options):
    """Batches in which the label of each example is its index."""
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


def test_each_epoch_and_each_seed_has_another_order():
    orders = {
        (seed, epoch): tuple(
            np.concatenate([y for _, y in contents(numbered(40, 7, seed=seed).epoch(epoch))])
        )
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(set(orders.values())) == 4
    assert numbered(40, 7).seed == 0


@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
def test_a_batch_depends_only_on_the_seed_and_the_step(sampling):
    batches = numbered(40, 7, seed=2, sampling=sampling)
    steps = batches.steps_per_epoch
    for epoch in (0, 2):
        for position, (x, y) in enumerate(contents(batches.epoch(epoch))):
            chosen = batches.indices(tf.constant(epoch * steps + position)).numpy()
            assert np.array_equal(y, chosen)
            assert np.array_equal(x.ravel(), chosen.astype(np.float32) / np.float32(255))


def test_a_dataset_that_is_opened_again_has_the_same_batches():
    dataset = numbered(40, 7).epoch(3)
    iter(dataset)
    next(iter(dataset))
    once, again = contents(dataset), contents(dataset)
    for (x, y), (other_x, other_y) in zip(once, again, strict=True):
        assert np.array_equal(x, other_x)
        assert np.array_equal(y, other_y)


def test_replacement_draws_full_batches_uniformly():
    batches = numbered(10, 4, sampling="replacement")
    assert batches.steps_per_epoch == 2
    drawn = np.concatenate([batches.indices(tf.constant(step)).numpy() for step in range(2500)])
    counts = np.bincount(drawn, minlength=10)
    # 10,000 draws: each index 1,000 times, with a standard deviation of 30.
    assert abs(counts - 1000).max() < 150
    first = batches.indices(tf.constant(0)).numpy()
    assert any(len(set(batches.indices(tf.constant(step)).numpy())) < 4 for step in range(20)), first


def test_evaluation_keeps_the_order_and_the_last_partial_batch():
    images = np.arange(10, dtype=np.uint8)[:, None, None, None]
    read = contents(Examples(images, np.arange(10), are_images=True, batch_size=4).in_order())
    assert [len(y) for _, y in read] == [4, 4, 2]
    assert np.array_equal(np.concatenate([y for _, y in read]), np.arange(10))
    assert np.concatenate([x for x, _ in read]).dtype == np.float32


def ungrouped(batches, steps, epochs):
    """The batches of all groups of the first `epochs` epochs, in order."""
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
    "sizes",
    cases(
        [(1, 40, 7), (3, 40, 7), (5, 40, 7), (3, 40, 8), (50, 40, 7), (2, 3, 3)],
        default=[(5, 40, 7), (3, 40, 8), (2, 3, 3)],
    ),
)
def test_groups_have_the_batches_of_the_epochs(sizes, sampling, mapped, tmp_path, digits):
    steps, count, batch_size = sizes
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


@pytest.mark.parametrize("shape", [(40, 3, 4), (40, 3, 4, 1), (40, 3, 4, 3), (40, 4, 1, 1)])
@pytest.mark.parametrize("reads_at", [True, False])
def test_mapped_images_are_read_with_their_axes_exchanged(shape, reads_at, tmp_path, monkeypatch):
    if not reads_at:
        monkeypatch.delattr("os.pread")  # as on Windows
    images = np.random.default_rng(2).integers(256, size=shape, dtype=np.uint8)
    images.tofile(tmp_path / "images")
    mapped = np.memmap(tmp_path / "images", np.uint8, "r", shape=shape)[5:].swapaxes(1, 2)
    assert isinstance(mapped, np.memmap)
    batches = Batches(mapped, np.arange(35), 7, seed=3, are_images=False)
    for x, y in contents(batches.epoch(0)):
        assert x.shape[1:3] == shape[2:0:-1]
        assert np.array_equal(x, images[5:].swapaxes(1, 2)[y])


def test_mapped_images_that_were_read_do_not_stay_in_memory(tmp_path):
    path = tmp_path / "images"
    with path.open("wb") as file:
        file.truncate(2**28)
    images = np.memmap(path, np.uint8, "r", shape=(2**18, 32, 32, 1))
    batches = Batches(images, np.zeros(len(images)), 4096)
    next(iter(batches.epoch(0)))
    mapped = re.search(rf"{path}.*?Rss: +(\d+) kB", Path("/proc/self/smaps").read_text(), re.DOTALL)
    assert int(mapped[1]) < 2**14


def test_no_dataset_has_a_tuner_that_delays_the_end_of_its_iterator(digits):
    batches = Batches(*digits, 7)
    for dataset in (batches.epoch(0), batches.groups(2), Examples(*digits, are_images=True).in_order()):
        assert dataset.options().autotune.enabled is False


def test_iterating_gives_the_batches_of_the_next_epoch(digits):
    batches = Batches(*digits, 7, seed=5)
    assert len(batches) == batches.steps_per_epoch == 6
    for epoch in range(2):
        for received, expected in zip(batches, Batches(*digits, 7, seed=5).epoch(epoch), strict=True):
            for one, other in zip(received, expected, strict=True):
                assert np.array_equal(one, other)


def test_batches_of_any_structure(digits):
    images, labels = digits
    x, y = {"image": images, "row": np.arange(40)}, [labels, np.arange(40) * 2]
    batches = Batches(x, y, 7, seed=5, sample_weight=np.arange(40.0), are_images=False)
    dataset = batches.epoch(0)
    assert batches.element_spec == dataset.element_spec
    read = list(dataset.as_numpy_iterator())
    rows = np.concatenate([x["row"] for x, _, _ in read])
    assert np.array_equal(np.sort(rows), np.arange(40))
    assert np.array_equal(np.concatenate([x["image"] for x, _, _ in read]), images[rows])
    assert np.array_equal(np.concatenate([y[1] for _, y, _ in read]), 2 * rows)
    assert np.array_equal(np.concatenate([weight for _, _, weight in read]), rows)
    same_order = np.concatenate([y for _, y in Batches(images, rows, 7, seed=5).epoch(0)])
    assert len(same_order) == 40


@pytest.mark.parametrize(
    "count, batch_size, sampling, steps, expected",
    [
        (10, 4, "shuffle", None, 3),
        (8, 4, "shuffle", None, 2),
        (10, 4, "in order", None, 3),
        (10, 4, "replacement", None, 2),
        (10, 4, "shuffle", 2, 2),
        (10, 4, "shuffle", 7, 7),
        (3, 4, "shuffle", None, 1),
    ],
)
def test_an_epoch_has_so_many_steps(count, batch_size, sampling, steps, expected):
    batches = numbered(count, batch_size, sampling=sampling, steps=steps)
    assert batches.steps_per_epoch == len(batches) == expected
    assert batches.examples == count
    assert batches.has_groups == (steps is None)


def test_optional_inputs_are_counted_by_those_that_there_are():
    assert Batches({"a": None, "b": np.zeros((3, 2))}, None, 2).examples == 3
    assert Batches(None, np.zeros(4), 2).examples == 4


def test_an_epoch_begins_at_any_step():
    batches = numbered(10, 4, seed=3)
    whole = [y for _, y in contents(batches.epoch(1))]
    for first in range(3):
        rest = [y for _, y in contents(batches.epoch(1, first, parallel=False))]
        assert [y.tolist() for y in rest] == [y.tolist() for y in whole[first:]]


def test_only_images_are_scaled(digits):
    images, labels = digits
    x, y = Batches(images, labels, 7).batch(0)
    assert (x.dtype, y.dtype) == (tf.float32, tf.int32)
    x, y = Batches(images, labels, 7, are_images=False).batch(0)
    assert (x.dtype, y.dtype) == (tf.uint8, tf.uint8)


def test_only_mapped_and_augmented_images_are_gathered_ahead(digits, tmp_path):
    images, labels = digits
    images.tofile(tmp_path / "images")
    mapped = np.memmap(tmp_path / "images", np.uint8, "r", shape=images.shape)
    for x, augment, is_ahead in (
        (images, None, False),
        (mapped, None, True),
        (images, lambda x, seed: x, True),
        (mapped, lambda x, seed: x, True),
    ):
        group = next(iter(Batches(x, labels, 7, augment=augment).groups(2)))
        assert isinstance(group, tuple) == is_ahead  # else it is the number of its first step


def test_batches_are_the_same_only_as_the_same_object(digits):
    for one, other in (
        (Batches(*digits, 7), Batches(*digits, 7)),
        (DatasetBatches(FEW, 3, 1), DatasetBatches(FEW, 3, 1)),
    ):
        assert {one: "found"}[one] == "found"
        assert one != other


def test_the_element_spec_is_that_of_a_batch(digits):
    x, y = Batches(*digits, 7).element_spec
    assert (x.shape.as_list(), x.dtype, y.dtype) == ([None, 6, 6, 1], tf.float32, tf.int32)
    assert Batches(*digits, 7).onward(0) is None


def test_an_epoch_is_not_iterated_in_a_graph(digits):
    batches = Batches(*digits, 7)
    with pytest.raises(TypeError, match=r"pass a dataset to the function: `run_epoch\(train.epoch"):
        tf.function(lambda: [x for x, y in batches], autograph=False)()
