"""Which examples make the batch at step t, and the `tf.data` pipelines that deliver them.

The batch is a pure function of (seed, t): no shuffle buffer, no iterator state. So every loop sees the
same batches, however often it opens a pipeline, and a run can go on from any step without a replay.
"""

import dataclasses
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Sampling = Literal["shuffle", "replacement"]

EVALUATION_BATCH_SIZE = 1000
"""Images evaluated at once. The metrics are means over examples, so it changes them by rounding only."""


def scale(x: tf.Tensor) -> tf.Tensor:
    """Return bytes 0-255 as float32 in [0, 1], and anything else as it is."""
    return tf.cast(x, tf.float32) / 255.0 if x.dtype == tf.uint8 else x


@dataclasses.dataclass(frozen=True, eq=False)
class Batches:
    """The training batches of a run.

    Args:
        images: `[examples, ...]`, for images uint8 `[examples, height, width, channels]`; bytes are
            scaled batch by batch to float32 in [0, 1], other types are left as they are.
        labels: `[examples, ...]`; integers become int32.
        batch_size: examples a step; the last batch of a shuffled epoch can be smaller.
        seed: what the order follows from, together with the step.
        sampling: `shuffle` takes every example once an epoch, in an order of the epoch's own;
            `replacement` draws each batch from all examples, as the handbook does.
    """

    images: NDArray[Any]
    labels: NDArray[Any]
    batch_size: int
    seed: int = 0
    sampling: Sampling = "shuffle"

    @property
    def examples_per_epoch(self) -> int:
        """Examples that one epoch trains on."""
        if self.sampling == "shuffle":
            return len(self.images)
        return self.steps_per_epoch * self.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Steps that make an epoch: when drawing with replacement, full batches only."""
        full, rest = divmod(len(self.images), self.batch_size)
        return full + (1 if rest and self.sampling == "shuffle" else 0)

    def indices(self, step: tf.Tensor) -> tf.Tensor:
        """Return the positions, int64 `[batch]`, of the examples of the batch at `step`, from 0."""
        step = tf.cast(step, tf.int64)
        examples = tf.constant(len(self.images), tf.int64)
        if self.sampling == "replacement":
            return tf.random.stateless_uniform(
                [self.batch_size], seed=[self.seed, step], maxval=examples, dtype=tf.int64
            )
        epoch, step_in_epoch = step // self.steps_per_epoch, step % self.steps_per_epoch
        first = step_in_epoch * self.batch_size
        positions = tf.range(first, tf.minimum(first + self.batch_size, examples))
        # Element i of the epoch's permutation, without building the permutation.
        return tf.random.experimental.index_shuffle(
            positions, seed=[self.seed, epoch], max_index=examples - 1
        )

    def epoch(self, epoch: int | tf.Variable) -> tf.data.Dataset:
        """Return the batches of one epoch in order: pairs of images and labels.

        Given an int64 variable instead of a number, the dataset is the epoch that the variable
        holds while it is read.
        """
        images, labels = tf.constant(self.images), tf.constant(_integers_as_int32(self.labels))

        def batch(step_in_epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            step = tf.cast(epoch, tf.int64) * self.steps_per_epoch + step_in_epoch
            chosen = self.indices(step)
            return scale(tf.gather(images, chosen)), tf.gather(labels, chosen)

        steps = tf.data.Dataset.range(self.steps_per_epoch)
        return steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def in_order(
    images: NDArray[Any],
    labels: NDArray[Any],
    batch_size: int = EVALUATION_BATCH_SIZE,
) -> tf.data.Dataset:
    """Return all examples once, in their order, for evaluation: batches as `Batches.epoch` gives."""
    dataset = tf.data.Dataset.from_tensor_slices((images, _integers_as_int32(labels)))
    dataset = dataset.batch(batch_size).map(lambda x, y: (scale(x), y))
    return dataset.prefetch(tf.data.AUTOTUNE)


def _integers_as_int32(labels: NDArray[Any]) -> NDArray[Any]:
    return labels.astype(np.int32) if labels.dtype.kind in "iu" else labels
