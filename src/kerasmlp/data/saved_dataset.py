"""The batches of a user's `tf.data.Dataset`, saved in a file, so that other processes read the same."""

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasmlp.data.epochs import Epochs


@dataclasses.dataclass(frozen=True, eq=False)
class SavedDataset(Epochs):
    """A dataset of batches in a folder. Each epoch has the same batches in the same order.

    Attributes:
        batch_size: examples in the first batch.
        examples: examples in all batches.
    """

    folder: Path
    batches: int
    batch_size: int
    examples: int

    @classmethod
    def save(cls, dataset: tf.data.Dataset, folder: Path) -> "SavedDataset":
        """Save the batches of `dataset`, which must be the same each time it is read.

        Raises:
            ValueError: the dataset is infinite, empty, or gives other batches when it is read again.
        """
        if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError("the dataset: expected a finite one; received one without end. Use take(n)")
        dataset.save(str(folder))
        sizes: list[int] = []
        for saved, again in zip(tf.data.Dataset.load(str(folder)), dataset, strict=False):
            if not _same(saved, again):
                raise ValueError(
                    "the dataset: expected the same batches in the same order each time it is read;"
                    f" received another batch {len(sizes) + 1} the second time. Use"
                    " shuffle(..., reshuffle_each_iteration=False), or pass arrays"
                )
            x, *_ = keras.utils.unpack_x_y_sample_weight(saved)
            first = tf.nest.flatten(x)[0]
            if not first.shape.rank:
                raise ValueError("the dataset: expected batches; received single examples. Use batch(n)")
            sizes.append(int(tf.shape(first)[0]))
        if not sizes:
            raise ValueError("the dataset: expected at least one batch; received none")
        return cls(folder, len(sizes), sizes[0], sum(sizes))

    @property
    def steps_per_epoch(self) -> int:
        return self.batches

    def epoch(self, epoch: int | tf.Variable, first_step: int = 0) -> tf.data.Dataset:
        return self.dataset().skip(first_step)

    def dataset(self) -> tf.data.Dataset:
        """Return all batches in order."""
        dataset = tf.data.Dataset.load(str(self.folder))
        return dataset.apply(tf.data.experimental.assert_cardinality(self.batches))


def _same(one: Any, other: Any) -> bool:
    def values(batch: Any) -> list[bytes]:
        flat = tf.nest.flatten(batch, expand_composites=True)
        return [np.asarray(part).tobytes() for part in flat]

    return values(one) == values(other)
