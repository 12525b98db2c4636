"""The batches of a user's `tf.data.Dataset`, in its own order."""

import dataclasses
import hashlib
import itertools
from typing import Any, Self

import numpy as np
import tensorflow as tf

from kerasmlp.data.batches import Group
from kerasmlp.data.epochs import Epochs
from kerasmlp.data.packing import unpacked
from kerasmlp.data.tensors import without_autograph, without_tuner

READ_TWICE = 3
"""How many batches `of` reads twice, to see whether the order is fixed."""


@dataclasses.dataclass(frozen=True, eq=False)
class DatasetBatches(Epochs):
    """The batches of a dataset that gives the same ones in the same order each time it is read.

    To start within an epoch, the batches before are read and skipped: as slow as the dataset is.

    Attributes:
        batch_size: examples in the first batch.
        continues: whether an epoch begins where the one before it ended, and the dataset begins anew
            when it has ended: so it is in `fit` with `steps_per_epoch`.
    """

    dataset: tf.data.Dataset
    batches: int
    batch_size: int
    continues: bool = False

    @classmethod
    def of(cls, dataset: tf.data.Dataset, steps_per_epoch: int | None = None) -> Self:
        """Return the batches of a dataset, or `steps_per_epoch` of them in each epoch.

        Raises:
            ValueError: the number of batches is not known; they are no batches; or the first ones differ
                when they are read again.
        """
        batches = steps_per_epoch or int(dataset.cardinality())
        if batches == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "the dataset: expected a finite one, or steps_per_epoch; received one without end"
            )
        if batches == tf.data.UNKNOWN_CARDINALITY:
            raise ValueError(
                "the dataset: expected one whose number of batches is known; received one of unknown"
                " size. Use dataset.apply(tf.data.experimental.assert_cardinality(n))"
            )
        first = list(itertools.islice(dataset, READ_TWICE))
        if not first:
            raise ValueError("the dataset: expected at least one batch; received none")
        for number, (batch, again) in enumerate(zip(first, dataset, strict=False), 1):
            check_same(batch, again, number)
        return cls(dataset, batches, length(first[0]), steps_per_epoch is not None)

    @property
    def steps_per_epoch(self) -> int:
        return self.batches

    def epoch(self, epoch: int | tf.Tensor, first_step: int = 0) -> tf.data.Dataset:
        if self.continues:
            rest = self._onward(epoch, first_step).take(self.batches - first_step)
        else:
            rest = self.dataset.skip(first_step)
        return rest.apply(tf.data.experimental.assert_cardinality(self.batches - first_step))

    def onward(self, epoch: int, first_step: int = 0) -> tf.data.Dataset | None:
        return self._onward(epoch, first_step) if self.continues else None

    def _onward(self, epoch: int | tf.Tensor, first_step: int) -> tf.data.Dataset:
        """Return the batches from a step on, without end."""
        if not self.continues:
            return self.dataset.skip(first_step).concatenate(self.dataset.repeat())
        begin = tf.cast(epoch, tf.int64) * self.batches + first_step
        size = self.dataset.cardinality()
        return self.dataset.repeat().skip(begin % size if size > 0 else begin)

    def fingerprint(self) -> str:
        """Return the hexadecimal SHA-256 of the number of batches and of the first ones."""
        digest = hashlib.sha256(str(self.batches).encode())
        for batch in self.dataset.take(READ_TWICE):
            for value in _values(batch):
                digest.update(value)
        return digest.hexdigest()

    @property
    def has_groups(self) -> bool:
        """Whether all batches have one shape, which is known: so they can be stacked."""
        specs = tf.nest.flatten(self.dataset.element_spec)
        return all(isinstance(s, tf.TensorSpec) and s.shape.is_fully_defined() for s in specs)

    def groups(self, steps: int, initial_step: int = 0) -> tf.data.Dataset:
        """Return the batches from `initial_step` on, without end, in groups of `steps`.

        In each epoch, a group ends after every `steps` steps, and at the end of the epoch.
        """

        groups_per_epoch = -(-self.batches // steps)

        @without_autograph
        def group_of(step: tf.Tensor, _: Any) -> tf.Tensor:
            return step // self.batches * groups_per_epoch + step % self.batches // steps

        @without_autograph
        def size(group: tf.Tensor) -> tf.Tensor:
            epoch, in_epoch = group // groups_per_epoch, group % groups_per_epoch * steps
            begin = tf.maximum(epoch * self.batches + in_epoch, initial_step)
            return epoch * self.batches + tf.minimum(in_epoch + steps, self.batches) - begin

        @without_autograph
        def filled(_: tf.Tensor, batch: Any) -> Group:
            """Return how many batches there are, and as many as in a full group."""
            count = tf.shape(tf.nest.flatten(batch)[0])[0]

            def fill(part: tf.Tensor) -> tf.Tensor:
                missing = [[0, steps - count], *([0, 0] for _ in part.shape[1:])]
                return tf.ensure_shape(tf.pad(part, missing), [steps, *part.shape[1:]])

            return count, tf.nest.map_structure(fill, unpacked(batch))

        batches = self._onward(*divmod(initial_step, self.batches)).enumerate(initial_step)
        stacked = without_autograph(lambda _, group: group.batch(steps))
        groups = batches.group_by_window(group_of, stacked, window_size_func=size)
        return without_tuner(groups.map(filled).prefetch(1))

    def load(self, group: Any, steps: int) -> tuple[Group, ...]:
        """Return the batches of an element of `groups`."""
        return (group,)

    def prepare(self, x: Any, *rest: Any) -> tuple[Any, ...]:
        """Return a batch of a group as the train step takes it."""
        return x, *rest


def length(batch: Any) -> int:
    """Return the number of examples in a batch. Raise a `ValueError` if it is a single example."""
    first = tf.nest.flatten(unpacked(batch)[0])[0]
    if not first.shape.rank:
        raise ValueError("the dataset: expected batches; received single examples. Use batch(n)")
    return int(first.shape[0])


def check_same(batch: Any, again: Any, number: int) -> None:
    """Raise a `ValueError` if batch `number` differs from what it was before."""
    if _values(batch) != _values(again):
        raise ValueError(
            "the dataset: expected the same batches in the same order each time it is read;"
            f" received another batch {number} the second time. Use"
            " shuffle(..., reshuffle_each_iteration=False), or pass arrays"
        )


def _values(batch: Any) -> list[bytes]:
    """Return all values of a batch, text as it is."""
    arrays = (np.asarray(part) for part in tf.nest.flatten(batch, expand_composites=True))
    return [b"\0".join(a.ravel()) if a.dtype == object else a.tobytes() for a in arrays]
