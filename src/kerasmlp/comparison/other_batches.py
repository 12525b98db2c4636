"""Batches that a loop may have trained on instead of the right one, and the cause that each would be."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from kerasmlp.comparison.reference import Batch
from kerasmlp.comparison.verdict import PARTIAL_DROPPED, same
from kerasmlp.data import Epochs
from kerasmlp.loops import batch_length

Other = tuple[str, list[Batch]]
"""A cause, and the batches that it leads to."""


def drawn_batches(
    train: Epochs, step: int, drawn: Sequence[Batch], right: Sequence[Batch]
) -> Iterator[Other]:
    """Yield what the loop drew for the execution that begins at `step`, if it is wrong."""
    if not drawn or len(right) != 1 or _same(drawn[-1], right[0]):
        return
    for cause, batches in later_batches(train, step):
        if _same(drawn[-1], batches[0]):
            yield cause, [drawn[-1]]
            return
    received, expected = batch_length(drawn[-1]), batch_length(right[0])
    if received != expected:
        cause = f"other batches: the loop makes batches of {received} examples, not {expected}"
    elif _rows(drawn[-1]) == _rows(right[0]):
        cause = "other batches: the loop shuffles the examples of a batch"
    else:
        cause = "other batches: the loop shuffles or changes the examples that it gets from `train`"
    yield cause, [drawn[-1]]


def later_batches(train: Epochs, step: int) -> Iterator[Other]:
    """Yield all other batches until the end of the next epoch."""
    per_epoch = train.steps_per_epoch
    for epoch in range(step // per_epoch + 2):
        for position, batch in enumerate(train.epoch(epoch)):
            other = epoch * per_epoch + position
            this = f"this is the batch of step {other + 1} (batch {position + 1} of epoch {epoch + 1})"
            if other == step + 1 and (step + 1) % per_epoch == 0:
                yield PARTIAL_DROPPED, [batch]
            elif other == step - 1:
                yield f"the batch is used twice: {this}", [batch]
            elif other < step and position == step % per_epoch:
                yield f"the same batches in each epoch: {this}", [batch]
            elif other != step:
                yield f"other batches, or another order: {this}", [batch]


def _same(one: Batch, other: Batch) -> bool:
    return same(*([np.asarray(part) for part in tf.nest.flatten(batch)] for batch in (one, other)))


def _rows(batch: Batch) -> list[bytes]:
    """Return the bytes of each example, sorted."""
    parts = [np.asarray(part) for part in tf.nest.flatten(batch)]
    return sorted(b"".join(row.tobytes() for row in rows) for rows in zip(*parts, strict=True))
