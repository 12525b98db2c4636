"""What a run trains: its batches and its model, made as the settings say."""

import dataclasses
import json
import zlib

import keras

from kerasmlp.augmentation import Augmentation
from kerasmlp.batches import Batches
from kerasmlp.config import Settings
from kerasmlp.data import MNISTLoader
from kerasmlp.examples import Examples
from kerasmlp.execution import SPREAD_STEP_SECONDS, STEP_SECONDS, responsive_steps
from kerasmlp.model import MLP, compiled_mlp
from kerasmlp.optimizers import optimizer

OF_THE_FILES = {
    *("data", "logdir", "name", "resume", "checkpoint_every", "keep_checkpoints"),
    *("summaries", "profile", "verbose"),
}
"""Settings that change nothing of what is trained, only of what is written."""


def prepared(settings: Settings, data: MNISTLoader) -> tuple[MLP, Batches, Examples | None]:
    """Return the model, compiled, its initial weights by the seed; the batches; the validation data.

    Raises:
        ValueError: too few images are left for a batch.
    """
    batches, validation = _split(settings, data)
    keras.utils.set_random_seed(settings.seed)
    return _model(settings, data, batches), batches, validation


def _split(settings: Settings, data: MNISTLoader) -> tuple[Batches, Examples | None]:
    """Return the training batches, and the validation data or None: the last of the training images."""
    distortions = settings.affine, settings.translation, settings.elastic
    images, labels = data.train_data, data.train_label
    held_out = settings.validation_images(len(images))
    kept = len(images) - held_out
    batches = Batches(
        images[:kept],
        labels[:kept],
        settings.batch_size,
        settings.seed,
        settings.sampling,
        Augmentation(*distortions) if any(distortions) else None,
    )
    return batches, Examples(images[kept:], labels[kept:]) if held_out else None


def _model(settings: Settings, data: MNISTLoader, batches: Batches) -> MLP:
    all_steps = settings.epochs * batches.steps_per_epoch
    model = compiled_mlp(
        data.image_shape,
        data.classes,
        hidden_units=settings.hidden_units,
        quantize=settings.quantize,
        optimizer=optimizer(
            settings.learning_rate,
            weight_decay=settings.weight_decay,
            cosine_steps=all_steps if settings.schedule == "cosine" else None,
            ema_momentum=settings.ema_momentum,
        ),
        jit_compile=settings.jit_compile,
    )
    steps = settings.steps_per_execution
    if steps == "auto":
        steps = responsive_steps(
            model.count_params(),
            settings.batch_size,
            batches.images[0].nbytes,
            batches.steps_per_epoch,
            STEP_SECONDS if settings.strategy == "none" else SPREAD_STEP_SECONDS,
        )
    model.steps_per_execution = steps
    return model


def digest(settings: Settings, fingerprint: str) -> int:
    """Return a number that two processes share which are to train the same, on data of `fingerprint`."""
    values = dataclasses.asdict(settings).items()
    trained = {name: value for name, value in values if name not in OF_THE_FILES}
    return zlib.crc32(json.dumps([trained, fingerprint], sort_keys=True).encode())
