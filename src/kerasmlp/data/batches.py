"""Which examples make the batch at step t, and the `tf.data` pipelines that deliver them.

The batch is a pure function of (seed, t): no shuffle buffer, no iterator state. So every loop sees the
same batches, however often it opens a pipeline, and a run can go on from any step without a replay.

They come one by one, or in groups for a program that takes many steps at once (see `execution`). A
group is gathered in one go and stays bytes, a quarter of what goes through memory, until the program
scales each batch. What is in memory is gathered where the program runs, just before it: on a CPU the
batches are then still in its cache. What is mapped from a file, or augmented, is made ahead, by another
thread.
"""

import dataclasses
import functools
import mmap
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasmlp.data.tensors import as_tensor, integers_as_int32, scale, without_autograph

Sampling = Literal["shuffle", "replacement"]

EVALUATION_BATCH_SIZE = 1000
"""Images evaluated at once. The metrics are means over examples, so it changes them by rounding only."""

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Takes the images of a batch and a seed, int64 `[2]`; returns others of the same shape and type."""

Group = tuple[tf.Tensor, tuple[tf.Tensor, ...]]
"""How many steps to take, int32, and the batches, each part stacked: `[steps or more, batch, ...]`."""


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
        augment: what is done to the images of each batch, with a seed that follows from `seed` and the
            step.
    """

    images: NDArray[Any]
    labels: NDArray[Any]
    batch_size: int
    seed: int = 0
    sampling: Sampling = "shuffle"
    augment: Augment | None = None

    @property
    def input_spec(self) -> tf.TensorSpec:
        """Of the images of a batch, as `epoch` delivers them."""
        dtype = tf.float32 if self.images.dtype == np.uint8 else self.images.dtype
        return tf.TensorSpec([None, *self.images.shape[1:]], dtype)

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
        return self._shuffled(epoch, tf.range(first, tf.minimum(first + self.batch_size, examples)))

    def epoch(self, epoch: int | tf.Variable, first_step: int = 0) -> tf.data.Dataset:
        """Return the batches of one epoch in order, from `first_step` on: pairs of images and labels.

        Given an int64 variable instead of a number, the dataset is the epoch that the variable
        holds while it is read.
        """

        @without_autograph
        def batch(step_in_epoch: tf.Tensor) -> tuple[tf.Tensor, ...]:
            step = tf.cast(epoch, tf.int64) * self.steps_per_epoch + step_in_epoch
            x, y = self._take(self.indices(step))
            return self.prepare(self.augmented(x, step), y)

        steps = tf.data.Dataset.range(first_step, self.steps_per_epoch)
        return steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    def groups(self, steps: int, initial_step: int = 0) -> tf.data.Dataset:
        """Return the batches from `initial_step` on, without end, in groups to be loaded by `load`.

        In each epoch a group ends after every `steps` steps, and with the epoch.
        """
        per_epoch = -(-self.steps_per_epoch // steps)
        epoch, in_epoch = divmod(initial_step, self.steps_per_epoch)

        @without_autograph
        def first_step(number: tf.Tensor) -> tf.Tensor:
            first = number // per_epoch * self.steps_per_epoch + number % per_epoch * steps
            return tf.maximum(first, tf.constant(initial_step, tf.int64))

        groups = tf.data.Dataset.counter(epoch * per_epoch + in_epoch // steps).map(first_step)
        if self._ahead:
            groups = groups.map(without_autograph(lambda first: self._gather(first, steps))).prefetch(1)
        return groups

    def load(self, group: Any, steps: int) -> tuple[Group, ...]:
        """Return what is behind an element of `groups(steps)`: full batches, then a partial one if any.

        Their shapes do not depend on the group; where it has fewer batches, it takes fewer steps.
        """
        return group if self._ahead else self._gather(group, steps)

    def prepare(self, x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return a batch of a group, `(x, y)`, as `epoch` delivers it."""
        return scale(x), y

    def augmented(self, images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Return the images of the batch at `step` as they are trained on."""
        if self.augment is None:
            return images
        # Beside the seeds of the order, which are of numbers from 0.
        return self.augment(images, tf.stack([tf.constant(self.seed, tf.int64), -1 - step]))

    @property
    def _mapped(self) -> bool:
        """Whether the images stay in a file, and are read batch by batch."""
        return isinstance(self.images, np.memmap)

    @property
    def _ahead(self) -> bool:
        """Whether a group is made while the program trains on the one before."""
        return self._mapped or self.augment is not None

    @functools.cached_property
    def _images(self) -> tf.Tensor:
        """The images where the programs run, each a row."""
        with tf.init_scope():
            return as_tensor(self.images.reshape(len(self.images), -1))

    @functools.cached_property
    def _labels(self) -> tf.Tensor:
        with tf.init_scope():
            return tf.constant(integers_as_int32(self.labels))

    def _gather(self, first: tf.Tensor, steps: int) -> tuple[Group, ...]:
        """Return the group that begins at the step `first`."""
        full, partial = divmod(len(self.images), self.batch_size)
        in_epoch = first % self.steps_per_epoch
        end = (in_epoch // steps + 1) * steps
        count = tf.maximum(tf.minimum(end, full) - in_epoch, 0)
        x, y = self._take(self._full_batches(first, steps))
        groups = [(tf.cast(count, tf.int32), (self._each_augmented(x, first, count), y))]
        if partial and self.sampling == "shuffle":
            last = first - in_epoch + full
            x, y = self._take(tf.reshape(self.indices(last), [1, partial]))
            taken = tf.cast(end > full, tf.int64)
            groups.append((tf.cast(taken, tf.int32), (self._each_augmented(x, last, taken), y)))
        return tuple(groups)

    def _each_augmented(self, images: tf.Tensor, first: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Return `[steps, batch, ...]` with the batches of the steps from `first` on augmented.

        What follows after `count` of them is no batch.
        """
        if self.augment is None:
            return images
        augmented = tf.map_fn(
            lambda batch: self.augmented(*batch),
            (images[:count], first + tf.range(count)),
            fn_output_signature=tf.TensorSpec(images.shape[1:], images.dtype),
        )
        return tf.concat([augmented, images[count:]], axis=0)

    def _full_batches(self, first: tf.Tensor, steps: int) -> tf.Tensor:
        """Return the indices, `[steps, batch]`, of the batches from the step `first` on.

        Where the epoch's full batches end before, what follows is no batch, only its shape is right.
        """
        if self.sampling == "replacement":
            return tf.map_fn(self.indices, first + tf.range(steps, dtype=tf.int64))
        epoch, in_epoch = first // self.steps_per_epoch, first % self.steps_per_epoch
        position = in_epoch * self.batch_size + tf.range(steps * self.batch_size, dtype=tf.int64)
        return tf.reshape(self._shuffled(epoch, position), [steps, self.batch_size])

    def _shuffled(self, epoch: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Return the examples at some positions of the epoch's permutation, without building it."""
        last = tf.constant(len(self.images) - 1, tf.int64)
        return tf.random.experimental.index_shuffle(
            tf.minimum(position, last), seed=[self.seed, epoch], max_index=last
        )

    def _take(self, chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the images and labels at the indices `chosen`, of any shape."""
        if self._mapped:
            x = tf.numpy_function(self._read, [chosen], self.images.dtype, stateful=False)
        else:
            x = tf.gather(self._images, chosen)
        shape = self.images.shape[1:]
        x = tf.reshape(x, tf.concat([tf.shape(chosen), shape], 0))
        return tf.ensure_shape(x, [*chosen.shape, *shape]), tf.gather(self._labels, chosen)

    def _read(self, chosen: NDArray[np.int64]) -> NDArray[Any]:
        """Return the images at `chosen` from the file.

        Read, not taken from the map: a touch of that can bring megabytes around an image into this
        process's memory, and costs more than the read.
        """
        file, first = self._file
        size = self.images[0].nbytes
        places = (first + chosen.ravel() * size).tolist()
        content = b"".join([os.pread(file.fileno(), size, place) for place in places])
        return np.frombuffer(content, self.images.dtype)

    @functools.cached_property
    def _file(self) -> tuple[FileIO, int]:
        """The file of the mapped images, and where in it they begin."""
        images: Any = self.images
        mapped_from = images.offset - images.offset % mmap.ALLOCATIONGRANULARITY
        within = images.ctypes.data - np.frombuffer(images._mmap, np.uint8).ctypes.data
        return Path(images.filename).open("rb", buffering=0), mapped_from + within


def in_order(
    images: NDArray[Any],
    labels: NDArray[Any],
    batch_size: int = EVALUATION_BATCH_SIZE,
) -> tf.data.Dataset:
    """Return all examples once, in their order, for evaluation: batches as `Batches.epoch` gives."""
    x, y = as_tensor(images), tf.constant(integers_as_int32(labels))

    @without_autograph
    def batch(first: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return scale(x[first : first + batch_size]), y[first : first + batch_size]

    starts = tf.data.Dataset.range(0, len(images), batch_size)
    return starts.map(batch).prefetch(tf.data.AUTOTUNE)
