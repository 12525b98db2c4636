"""The data of `kerasmlp.fit`, in any form that Keras' `fit` takes, as batches."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kerasmlp.data import (
    Batches,
    DatasetBatches,
    Examples,
    Parts,
    weighted,
    weighted_dataset,
)
from kerasmlp.runs.fields import SettingError
from kerasmlp.runs.fit_settings import FitSettings


class FitData(NamedTuple):
    """What a model trains on, and what it is validated on; None for no validation.

    `examples` and `held_out` are the arrays of both; None for a dataset.
    """

    train: Batches | DatasetBatches
    validation: tf.data.Dataset | None
    examples: Parts | None = None
    held_out: Parts | None = None

    @property
    def name(self) -> str:
        """What the data is called."""
        return "a tf.data.Dataset" if self.examples is None else "arrays"


def fit_data(
    settings: FitSettings,
    x: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Mapping[int, float] | None,
    validation_data: Any,
) -> FitData:
    """Return the data as batches.

    Raises:
        ValueError: they are not what `fit` takes, or cannot be read twice.
    """
    if isinstance(x, tf.data.Dataset):
        for name, given in (("y", y), ("sample_weight", sample_weight)):
            if given is not None:
                raise ValueError(f"{name}: expected None beside a tf.data.Dataset, which has it")
        if settings.validation_split and validation_data is None:
            raise SettingError("validation_split", "0 with a tf.data.Dataset", settings.validation_split)
        dataset = x if class_weight is None else weighted_dataset(x, class_weight)
        steps = _fewer_steps(settings.steps_per_epoch, int(dataset.cardinality()))
        train = DatasetBatches.of(dataset, steps)
        validation, held_out = _validation(settings, validation_data)
        return FitData(train, validation, None, held_out)
    examples = _parts("x", x, y, sample_weight)
    if settings.validation_split and validation_data is None:
        examples, validation_data = _split(examples, settings.validation_split)
    examples = examples if class_weight is None else weighted(examples, class_weight)
    validation, held_out = _validation(settings, validation_data)
    return FitData(_batches(settings, examples), validation, examples, held_out)


def _batches(settings: FitSettings, examples: Parts) -> Batches:
    x, y, sample_weight = examples.padded
    return Batches(
        x,
        y,
        settings.batch_size,
        settings.seed,
        "shuffle" if settings.shuffle else "in order",
        sample_weight=sample_weight,
        are_images=False,
        steps=_fewer_steps(settings.steps_per_epoch, -(-examples.examples // settings.batch_size)),
    )


def _fewer_steps(steps: int | None, batches: int) -> int | None:
    """Return the steps of an epoch; None if it has all batches. As in Keras' `fit`, it has no more.

    Args:
        batches: how many the data have; negative if that is not known, or if they have no end.
    """
    if steps is None or batches < 0 or steps < batches:
        return steps
    if steps > batches:
        warnings.warn(
            f"steps_per_epoch: the data have {batches:,} batches, so that an epoch has {batches:,}"
            f" steps, not {steps:,}",
            stacklevel=2,
        )
    return None


def _split(examples: Parts, last: float) -> tuple[Parts, Parts]:
    """Return the first examples, and the `last` part of them, as Keras' `validation_split` does."""
    first = int(examples.examples * (1 - last))
    if not 0 < first < examples.examples:
        expected = f"a part of {examples.examples:,} examples that leaves some to train on"
        raise SettingError("validation_split", expected, last)
    return examples.part(0, first), examples.part(first, examples.examples)


def _validation(settings: FitSettings, data: Any) -> tuple[tf.data.Dataset | None, Parts | None]:
    """Return the batches to validate on, and their arrays; None for what there is not."""
    if data is None:
        return None, None
    held_out = None
    if not isinstance(data, tf.data.Dataset):
        if not isinstance(data, Parts):
            data = _parts("validation_data", *keras.utils.unpack_x_y_sample_weight(data))
        held_out = data
        size = settings.validation_batch_size or settings.batch_size
        data = Examples(*held_out.padded, batch_size=size).in_order()
    steps = settings.validation_steps
    return data if steps is None else data.take(steps), held_out


def _parts(name: str, x: Any, y: Any = None, sample_weight: Any = None) -> Parts:
    """Return arrays. For data that cannot be read twice, a `ValueError` says what to pass."""
    if x is None or hasattr(x, "__next__") or isinstance(x, keras.utils.PyDataset) or callable(x):
        raise ValueError(
            f"{name}: expected arrays or a tf.data.Dataset; received {type(x).__name__}, whose batches"
            " may differ when they are read again. Use arrays, or tf.data.Dataset.from_generator(...)"
            " with a fixed order"
        )
    try:
        return Parts.of(x, y, sample_weight)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
