"""A batch that a loop should not have trained on is told from the others."""

import numpy as np
import pytest

from kerasmlp.comparison.other_batches import drawn_batches, later_batches
from kerasmlp.comparison.verdict import PARTIAL_DROPPED
from kerasmlp.data import Batches

PER_EPOCH = 3
"""Two batches of 4 examples, and a partial one of 2."""


@pytest.fixture
def train():
    numbers = np.arange(10, dtype=np.float32)
    return Batches(numbers[:, None], numbers.astype(np.int64), 4, seed=3)


def all_batches(train):
    """The batches of three epochs, as arrays."""
    return [batch for epoch in range(3) for batch in train.epoch(epoch).as_numpy_iterator()]


def batch_of(train, step):
    """The batch of a step, counted from 0 over all epochs."""
    return all_batches(train)[step]


def told(train, step):
    """What each other batch would say, as (cause, number of the step that it belongs to)."""
    numbers = {y.tobytes(): number for number, (_, y) in enumerate(all_batches(train))}
    return [(cause, numbers[np.asarray(y).tobytes()]) for cause, ((_, y),) in later_batches(train, step)]


def test_every_other_batch_up_to_the_end_of_the_next_epoch_is_told(train):
    this = "this is the batch of step {} (batch {} of epoch {})"
    assert told(train, 4) == [
        (f"other batches, or another order: {this.format(1, 1, 1)}", 0),
        (f"the same batches in each epoch: {this.format(2, 2, 1)}", 1),
        (f"other batches, or another order: {this.format(3, 3, 1)}", 2),
        (f"the batch is used twice: {this.format(4, 1, 2)}", 3),
        (f"other batches, or another order: {this.format(6, 3, 2)}", 5),
        (f"other batches, or another order: {this.format(7, 1, 3)}", 6),
        (f"other batches, or another order: {this.format(8, 2, 3)}", 7),
        (f"other batches, or another order: {this.format(9, 3, 3)}", 8),
    ]


def test_the_first_batch_of_the_next_epoch_says_that_the_partial_one_is_dropped(train):
    assert len(all_batches(train)) == 3 * PER_EPOCH
    causes = {at: cause for cause, at in told(train, 2)}
    assert causes[3] == PARTIAL_DROPPED
    assert list(causes.values()).count(PARTIAL_DROPPED) == 1
    # A full batch that comes next is only another order.
    assert PARTIAL_DROPPED not in dict(told(train, 1))


def drawn(train, step, batch, right=None):
    right = batch_of(train, step) if right is None else right
    return list(drawn_batches(train, step, [batch], [right]))


def test_a_batch_that_was_drawn_is_told_by_what_it_holds(train):
    right = batch_of(train, 4)
    assert drawn(train, 4, right) == []
    assert list(drawn_batches(train, 4, [], [right])) == []  # nothing was seen
    wrong = batch_of(train, 3)
    assert list(drawn_batches(train, 4, [wrong], [right, right])) == []  # several steps at once

    ((cause, batches),) = drawn(train, 4, wrong)
    assert cause == "the batch is used twice: this is the batch of step 4 (batch 1 of epoch 2)"
    assert [batch is wrong for batch in batches] == [True]


def test_a_batch_of_the_loops_own_is_told_by_its_size_and_its_examples(train):
    x, y = batch_of(train, 4)
    larger = np.concatenate([x, x + 100]), np.concatenate([y, y])
    ((cause, _),) = drawn(train, 4, larger)
    assert cause == "other batches: the loop makes batches of 8 examples, not 4"
    ((cause, _),) = drawn(train, 4, (x[::-1], y[::-1]))
    assert cause == "other batches: the loop shuffles the examples of a batch"
    for changed in ((x / 255, y), (x[::-1], y)):  # the labels stay behind
        ((cause, batches),) = drawn(train, 4, changed)
        assert cause == (
            "other batches: the loop shuffles or changes the examples that it gets from `train`"
        )
        assert batches == [changed]


def test_the_newest_of_several_batches_is_looked_at(train):
    batches = all_batches(train)
    right, wrong, twice = batches[4], batches[5], batches[3]
    assert list(drawn_batches(train, 4, [wrong, right], [right])) == []
    turned = tuple(part[::-1] for part in right)
    larger = tuple(np.concatenate([part, part + 100]) for part in right)
    for before, newest, what in (
        (right, twice, "the batch is used twice: this is the batch of step 4"),
        (wrong, turned, "shuffles the examples of a batch"),
        (wrong, larger, "batches of 8 examples, not 4"),
    ):
        ((told, (other,)),) = drawn_batches(train, 4, [before, newest], [right])
        assert what in told and other is newest
