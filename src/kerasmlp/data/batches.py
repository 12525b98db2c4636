"""The batch of each step, and the `tf.data` pipelines that deliver the batches.

The batch of a step depends only on the seed and the step: there is no shuffle buffer and no iterator
state. So every loop sees the same batches, and a run can resume at any step without a replay.

Batches come one by one, or in groups for a program of many steps (see `kerasmlp.loops.program`). All
batches of a group are gathered at once. They stay bytes, a quarter of the memory traffic, until the
program scales each batch. Images in memory are gathered on the device of the program, just before it
trains on them: on a CPU the batches are then still in its cache. Batches of images that are mapped from
a file, or augmented, are prepared ahead by another thread.
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

from kerasmlp.data.epochs import Epochs
from kerasmlp.data.packing import packed
from kerasmlp.data.rows import as_rows, gather
from kerasmlp.data.tensors import (
    labels_as_tensor,
    scale,
    without_autograph,
    without_tuner,
)

Sampling = Literal["shuffle", "replacement", "in order"]
EVALUATION_BATCH_SIZE = 1000
"""Metrics are means over the examples, so this size changes them only by rounding."""
Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Takes the images of a batch and a seed, int64 `[2]`. Returns images of the same shape and type."""
Group = tuple[tf.Tensor, tuple[Any, ...]]
"""The number of steps to take, int32, and the batches, each part stacked. The stacks may be longer than
the number of steps: `[at least steps, batch, ...]`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Batches(Epochs):
    """The training batches of a run.

    Args:
        x: arrays `[examples, ...]` in any structure, usually images: uint8 `[examples, height, width,
            channels]`. An array may be a SciPy matrix in CSR format or a `tf.RaggedTensor`; None in the
            place of an optional input.
        y: labels `[examples, ...]` in any structure, or None.
        batch_size: examples in a batch. The last batch of a shuffled epoch can be smaller.
        seed: the seed of the order of the examples, and of the augmentation.
        sampling: `shuffle` takes every example once an epoch, in a new order each epoch; `replacement`
            draws each batch from all examples, as in the handbook; `in order` takes them as they are.
        augment: distorts the images of each batch. Its seed depends on `seed` and the step.
        sample_weight: weights `[examples]` in any structure, or None.
        steps: the steps in an epoch, if it has not all examples once. The next epoch then goes on where
            it ends, as in `fit` with `steps_per_epoch`.
        are_images: whether bytes in `x` are pixels: they are scaled batch by batch to float32 in [0, 1],
            and labels that are integers become int32. Without, all types and values stay as they are.
    """

    x: Any
    y: Any
    batch_size: int
    seed: int = 0
    sampling: Sampling = "shuffle"
    augment: Augment | None = None
    sample_weight: Any = None
    are_images: bool = True
    steps: int | None = None

    @functools.cached_property
    def examples(self) -> int:
        """Number of training examples."""
        arrays = tf.nest.flatten((self.x, self.y))
        return int(next(array for array in arrays if array is not None).shape[0])

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps in an epoch. With replacement, only full batches count."""
        return self.steps or self._steps_per_pass

    @property
    def _steps_per_pass(self) -> int:
        """Number of steps in which all examples are taken once."""
        full, rest = divmod(self.examples, self.batch_size)
        return full + (1 if rest and self.sampling != "replacement" else 0)

    @property
    def has_groups(self) -> bool:
        """Whether batches can be stacked, and epochs begin with a pass over all examples."""
        return self.steps is None and self.has_arrays

    @property
    def has_arrays(self) -> bool:
        """Whether all parts are arrays of NumPy."""
        return all(isinstance(part, np.ndarray) for part in tf.nest.flatten((self.x, self._given)))

    def indices(self, step: tf.Tensor) -> tf.Tensor:
        """Return the indices, int64 `[batch]`, of the examples of a step, counted from 0."""
        step = tf.cast(step, tf.int64)
        if self.sampling == "replacement":
            shape, seed = [self.batch_size], [self.seed, step]
            return tf.random.stateless_uniform(shape, seed, maxval=self.examples, dtype=tf.int64)
        left = self.examples - step % self._steps_per_pass * self.batch_size
        return self._shuffled(step, tf.minimum(left, self.batch_size))

    @functools.cached_property
    def element_spec(self) -> Any:
        """The types and shapes of a batch; where it is of arrays, by the first one, which is quicker."""
        if not self.has_arrays or self.augment is not None:
            return super().element_spec
        size = self.batch_size if self.sampling == "replacement" else None
        return tf.nest.map_structure(
            lambda part: tf.TensorSpec([size, *part.shape[1:]], part.dtype), self.first_batch()
        )

    def epoch(
        self, epoch: int | tf.Tensor, first_step: int = 0, *, parallel: bool = True
    ) -> tf.data.Dataset:
        """Return the batches of one epoch in order: `(x, y)`, or another form that `fit` takes.

        Args:
            epoch: counted from 0.
            first_step: the first step in the epoch, counted from 0.
            parallel: whether each core prepares a batch at a time. All of them are in memory.
        """

        @without_autograph
        def batch(step_in_epoch: tf.Tensor) -> Any:
            return self._traced_batch(tf.cast(epoch, tf.int64) * self.steps_per_epoch + step_in_epoch)

        steps = tf.data.Dataset.range(first_step, self.steps_per_epoch)
        batches = steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE if parallel else None)
        return without_tuner(batches.prefetch(tf.data.AUTOTUNE))

    @functools.cached_property
    def _traced_batch(self) -> Callable[[tf.Tensor], Any]:
        """`batch` as a function of TensorFlow. It is traced once, not anew for each epoch."""
        return tf.function(self.batch, autograph=False)

    def first_batch(self) -> Any:
        return self.batch(0)

    def batch(self, step: int | tf.Tensor) -> Any:
        """Return the batch of a step, counted from 0, as `epoch` delivers it."""
        step = tf.cast(step, tf.int64)
        x, *rest = self._examples_at(self.indices(step))
        return packed(*self.prepare(self.augmented(x, step), *rest))

    def groups(self, steps: int, initial_step: int = 0) -> tf.data.Dataset:
        """Return the batches from `initial_step` on, without end, in groups. `load` loads a group.

        In each epoch, a group ends after every `steps` steps, and at the end of the epoch.
        """
        groups_per_epoch = -(-self.steps_per_epoch // steps)
        epoch, in_epoch = divmod(initial_step, self.steps_per_epoch)

        @without_autograph
        def first_step(group: tf.Tensor) -> tf.Tensor:
            first = group // groups_per_epoch * self.steps_per_epoch + group % groups_per_epoch * steps
            return tf.maximum(first, tf.constant(initial_step, tf.int64))

        first_group = epoch * groups_per_epoch + in_epoch // steps
        groups = tf.data.Dataset.range(first_group, tf.int64.max).map(first_step)
        if self._prepares_ahead:
            groups = groups.map(without_autograph(lambda first: self._gather(first, steps))).prefetch(1)
        return without_tuner(groups)

    def load(self, group: Any, steps: int) -> tuple[Group, ...]:
        """Return the batches of an element of `groups(steps)`: the full ones, then a partial one if any.

        The shapes are the same for every group. A group with fewer batches takes fewer steps.
        """
        return group if self._prepares_ahead else self._gather(group, steps)

    def prepare(self, x: Any, *rest: Any) -> tuple[Any, ...]:
        """Return a batch of a group, `(x, y)` or `(x, y, sample_weight)`, as `epoch` delivers it."""
        return (tf.nest.map_structure(scale, x) if self.are_images else x, *rest)

    def augmented(self, images: Any, step: tf.Tensor) -> Any:
        """Return the images of the batch of a step with their augmentation."""
        if self.augment is None:
            return images
        # A negative number, since the seeds of the order have numbers from 0 on.
        return self.augment(images, tf.stack([tf.constant(self.seed, tf.int64), -1 - step]))

    @property
    def _prepares_ahead(self) -> bool:
        """Whether a group is prepared while the program trains on the group before it."""
        return self._is_mapped or self.augment is not None

    @property
    def _is_mapped(self) -> bool:
        return isinstance(self.x, np.memmap)

    @functools.cached_property
    def _inputs(self) -> Any:
        """`x` on the device of the program, one row for each example."""
        with tf.init_scope():
            return tf.nest.map_structure(as_rows, self.x)

    @functools.cached_property
    def _targets(self) -> tuple[Any, ...]:
        """`y` and `sample_weight`, as far as there are any."""
        convert = labels_as_tensor if self.are_images else as_rows
        with tf.init_scope():
            return tf.nest.map_structure(convert, self._given)

    @property
    def _given(self) -> tuple[Any, ...]:
        return tuple(part for part in (self.y, self.sample_weight) if part is not None)

    def _gather(self, first: tf.Tensor, steps: int) -> tuple[Group, ...]:
        """Return the group that begins at the step `first`."""
        full, partial = divmod(self.examples, self.batch_size)
        in_epoch = first % self.steps_per_epoch
        end = (in_epoch // steps + 1) * steps
        if self.sampling == "replacement":
            indices = tf.map_fn(self.indices, first + tf.range(steps, dtype=tf.int64))
        else:  # rows after the last full batch only fill the shape
            indices = tf.reshape(self._shuffled(first, steps * self.batch_size), [steps, -1])
        groups = [self._group(indices, first, tf.maximum(tf.minimum(end, full) - in_epoch, 0))]
        if partial and self.sampling != "replacement":
            last = first - in_epoch + full
            indices = self._shuffled(last, partial)[None]
            groups.append(self._group(indices, last, tf.cast(end > full, tf.int64)))
        return tuple(groups)

    def _group(self, indices: tf.Tensor, first: tf.Tensor, count: tf.Tensor) -> Group:
        """Return the batches at `indices`, `[steps, batch]`. Only the first `count` are trained on."""
        x, *rest = self._examples_at(indices)
        if self.augment is not None:
            augmented = tf.map_fn(
                lambda batch: self.augmented(*batch),
                (x[:count], first + tf.range(count)),
                fn_output_signature=tf.TensorSpec(x.shape[1:], x.dtype),
            )
            x = tf.concat([augmented, x[count:]], axis=0)
        return tf.cast(count, tf.int32), (x, *rest)

    def _shuffled(self, step: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
        """Return `count` indices of the epoch's permutation, from those of `step` on.

        The permutation is not built. After its end, its last index is repeated.
        """
        last = tf.constant(self.examples - 1, tf.int64)
        epoch, in_epoch = step // self._steps_per_pass, step % self._steps_per_pass
        position = tf.minimum(in_epoch * self.batch_size + tf.range(count, dtype=tf.int64), last)
        if self.sampling == "in order":
            return position
        return tf.random.experimental.index_shuffle(position, [self.seed, epoch], last)

    def _examples_at(self, indices: tf.Tensor) -> tuple[Any, ...]:
        """Return the parts of the batches at `indices`, of any shape."""

        def at(rows: Any, array: Any) -> Any:
            return gather(rows, array, indices)

        if self._is_mapped:
            content = tf.numpy_function(self._read, [indices], self.x.dtype, stateful=False)
            x = tf.reshape(content, tf.concat([tf.shape(indices), self.x.shape[1:]], 0))
            x = tf.ensure_shape(x, [*indices.shape, *self.x.shape[1:]])
        else:
            x = tf.nest.map_structure(at, self._inputs, self.x)
        return x, *tf.nest.map_structure(at, self._targets, self._given)

    def _read(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Return the images at `indices` from the file, which may have the axes in another order.

        The memory map is slower, and can bring megabytes around an image into the memory.
        """
        if not hasattr(os, "pread"):  # on Windows
            return np.asarray(self.x[indices.ravel()])
        file, start = self._file
        size = self.x[0].nbytes
        offsets = (start + indices.ravel() * size).tolist()
        content = b"".join([os.pread(file.fileno(), size, offset) for offset in offsets])
        axes = sorted(range(1, self.x.ndim), key=lambda axis: -self.x.strides[axis])
        stored = np.frombuffer(content, self.x.dtype).reshape(-1, *(self.x.shape[axis] for axis in axes))
        return stored.transpose(0, *(1 + np.argsort(axes)))

    @functools.cached_property
    def _file(self) -> tuple[FileIO, int]:
        """The file of the mapped images, and the offset of the first image in it."""
        images = self.x
        map_start = images.offset - images.offset % mmap.ALLOCATIONGRANULARITY
        in_map = images.ctypes.data - np.frombuffer(images._mmap, np.uint8).ctypes.data
        return Path(images.filename).open("rb", buffering=0), map_start + in_map
