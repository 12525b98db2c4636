"""A user's `tf.data.Dataset`, saved in a file, so that other processes read the same."""

import dataclasses
from pathlib import Path

import tensorflow as tf

from kerasmlp.data.dataset_batches import DatasetBatches, check_same, length


@dataclasses.dataclass(frozen=True)
class SavedDataset:
    """A dataset of batches in a folder.

    Attributes:
        batch_size: examples in the first batch.
        examples: examples in all batches.
    """

    folder: Path
    steps_per_epoch: int
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
            check_same(saved, again, len(sizes) + 1)
            sizes.append(length(saved))
        if not sizes:
            raise ValueError("the dataset: expected at least one batch; received none")
        return cls(folder, len(sizes), sizes[0], sum(sizes))

    def batches(self) -> DatasetBatches:
        """Return the batches. Each epoch has the same ones in the same order."""
        return DatasetBatches(self.dataset(), self.steps_per_epoch, self.batch_size)

    def dataset(self) -> tf.data.Dataset:
        """Return all batches in order."""
        dataset = tf.data.Dataset.load(str(self.folder))
        return dataset.apply(tf.data.experimental.assert_cardinality(self.steps_per_epoch))
