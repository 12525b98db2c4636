"""What a run trains: its model, its batches, and the examples to validate and test it on."""

import dataclasses
import json
import zlib
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.data import Augmentation, Batches, Examples, MNISTLoader, Parts, Source
from kerasmlp.loops import (
    DISTRIBUTED_STEP_SECONDS,
    STEP_SECONDS,
    TrainingData,
    responsive_steps,
    set_steps,
)
from kerasmlp.models import compiled_mlp, make_optimizer
from kerasmlp.runs.by_name import new_model
from kerasmlp.runs.fields import SettingError
from kerasmlp.runs.run_settings import NOT_TRAINED
from kerasmlp.runs.settings import Settings

SAMPLE = 1000
"""The first training examples, whose gradients and evaluation are shown."""
SHOWN = 2000
"""The first validation examples, whose errors and curves are shown."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What a run trains: a compiled model, on which data.

    Attributes:
        validation: batches to validate on. None for no validation.
        sample: the first training examples, which TensorBoard shows.
        shown: the first validation examples, which TensorBoard shows. None for no validation.
        test: examples to test the trained model on. None for no test.
        data: the name of the data.
        fingerprint: the fingerprint of the data.
        digest: a number that is equal in two processes that train the same on the same data.
        validation_examples: number of validation examples. None if unknown.
        validates_average: whether validation is with the averaged weights, if the optimizer has them.
    """

    model: keras.Model
    batches: TrainingData
    validation: tf.data.Dataset | None
    sample: Examples
    shown: Examples | None
    test: Examples | None
    data: str
    fingerprint: str
    digest: int
    validation_examples: int | None
    validates_average: bool


def prepare(settings: Settings, data: Source) -> Task:
    """Return what `settings` train on `data`.

    Raises:
        SettingError: too few examples are left for a batch.
        ValueError: the function of a model makes no compiled one.
    """
    train, test = data.train, data.test
    kept = train.examples - settings.held_out(train.examples)
    batches = _batches(settings, train.part(0, kept), are_images=data.are_images)

    def examples(of: Parts) -> Examples:
        return Examples(*of.padded, are_images=batches.are_images)

    held_out = examples(train.part(kept, train.examples)) if kept < train.examples else None
    keras.utils.set_random_seed(settings.seed)
    if settings.model is not None:
        model = _own_model(settings, settings.model, batches)
    elif isinstance(data, MNISTLoader):
        model = _mlp(settings, data, batches)
    else:
        raise SettingError("model", "the model for these arrays", settings.model)
    fingerprint = data.fingerprint
    return Task(
        model=model,
        batches=batches,
        validation=held_out and held_out.in_order(),
        sample=examples(train.part(0, min(SAMPLE, kept))),
        shown=held_out and held_out.first(SHOWN),
        validation_examples=train.examples - kept,
        test=examples(test),
        data=data.name,
        fingerprint=fingerprint,
        digest=_digest(settings, fingerprint),
        validates_average=settings.model is None,
    )


def _batches(settings: Settings, examples: Parts, are_images: bool) -> Batches:
    x, y, sample_weight = examples.padded
    distortions = settings.affine, settings.translation, settings.elastic
    return Batches(
        x,
        y,
        settings.batch_size,
        settings.seed,
        settings.sampling,
        Augmentation(*distortions) if any(distortions) else None,
        sample_weight,
        are_images,
    )


def _mlp(settings: Settings, data: MNISTLoader, batches: Batches) -> keras.Model:
    """Return the handbook's MLP for the images of `data`."""
    all_steps = settings.epochs * batches.steps_per_epoch
    model = compiled_mlp(
        data.image_shape,
        data.classes,
        hidden_units=settings.hidden_units,
        quantize=settings.quantize,
        optimizer=make_optimizer(
            settings.learning_rate,
            weight_decay=settings.weight_decay,
            cosine_steps=all_steps if settings.schedule == "cosine" else None,
            ema_momentum=settings.ema_momentum,
        ),
        jit_compile=settings.jit_compile,
    )
    steps: Any = settings.steps_per_execution
    if steps == "auto":
        steps = responsive_steps(
            model.count_params(),
            settings.batch_size,
            batches.x[0].nbytes,
            batches.steps_per_epoch,
            STEP_SECONDS if settings.strategy == "none" else DISTRIBUTED_STEP_SECONDS,
        )
    model.steps_per_execution = steps
    return model


def _own_model(settings: Settings, name: str, batches: Batches) -> keras.Model:
    """Return the user's model. Where nothing is given, it stays as its function compiled it."""
    model = new_model(name)
    model.jit_compile = model.jit_compile and settings.jit_compile
    if model.jit_compile or settings.steps_per_execution != "auto":
        set_steps(model, settings.steps_per_execution, batches)
    return model


def _digest(settings: Settings, fingerprint: str) -> int:
    values = dataclasses.asdict(settings).items()
    trained = {name: value for name, value in values if name not in NOT_TRAINED}
    return zlib.crc32(json.dumps([trained, fingerprint], sort_keys=True).encode())
