"""The batches of a user's `tf.data.Dataset`, in its own order."""

import dataclasses
import hashlib
import itertools
from typing import Any, Self

import numpy as np
import tensorflow as tf

from kerasmlp.data.batches import Group, unpacked
from kerasmlp.data.epochs import Epochs
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

    def epoch(self, epoch: int | tf.Variable, first_step: int = 0) -> tf.data.Dataset:
        if not self.continues:
            rest = self.dataset.skip(first_step)
        else:
            # In a function, so that a variable is read each time when the dataset is read.
            @without_autograph
            def continued(_: tf.Tensor) -> tf.data.Dataset:
                begin = tf.cast(epoch, tf.int64) * self.batches + first_step
                return self.dataset.repeat().skip(begin).take(self.batches - first_step)

            rest = tf.data.Dataset.range(1).flat_map(continued)
        return rest.apply(tf.data.experimental.assert_cardinality(self.batches - first_step))

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

        def of_epoch(epoch: int | tf.Tensor, first_step: int = 0) -> tf.data.Dataset:
            begun = first_step % steps and min(steps - first_step % steps, self.batches - first_step)
            batches = self.epoch(epoch, first_step)
            whole = batches.skip(begun).batch(steps)
            return batches.take(begun).batch(begun).concatenate(whole) if begun else whole

        @without_autograph
        def filled(*batch: Any) -> Group:
            """Return how many batches there are, and as many as in a full group."""
            flat = tf.nest.flatten(batch)
            count = tf.shape(flat[0])[0]

            def fill(part: tf.Tensor) -> tf.Tensor:
                missing = [[0, steps - count], *([0, 0] for _ in part.shape[1:])]
                return tf.ensure_shape(tf.pad(part, missing), [steps, *part.shape[1:]])

            return count, tf.nest.map_structure(fill, unpacked(batch))

        epoch, first_step = divmod(initial_step, self.batches)
        later = tf.data.Dataset.counter(epoch + 1).flat_map(without_autograph(of_epoch))
        groups = of_epoch(epoch, first_step).concatenate(later).map(filled)
        return without_tuner(groups.prefetch(1))

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
