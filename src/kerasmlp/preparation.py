"""What a run trains: its batches and its model, made as the settings say."""

import dataclasses
import json
import zlib

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


def split(settings: Settings, data: MNISTLoader) -> tuple[Batches, Examples | None]:
    """Return the training batches, and the validation data or None: the last of the training images.

    Raises:
        ValueError: too few images are left for a batch.
    """
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


def model(settings: Settings, data: MNISTLoader, batches: Batches) -> MLP:
    """Return the model of the run, compiled. Its weights follow from `keras.utils.set_random_seed`."""
    all_steps = settings.epochs * batches.steps_per_epoch
    made = compiled_mlp(
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
            made.count_params(),
            settings.batch_size,
            batches.images[0].nbytes,
            batches.steps_per_epoch,
            STEP_SECONDS if settings.strategy == "none" else SPREAD_STEP_SECONDS,
        )
    made.steps_per_execution = steps
    return made


def digest(settings: Settings, fingerprint: str) -> int:
    """Return a number that two processes share which are to train the same, on data of `fingerprint`."""
    values = dataclasses.asdict(settings).items()
    trained = {name: value for name, value in values if name not in OF_THE_FILES}
    return zlib.crc32(json.dumps([trained, fingerprint], sort_keys=True).encode())
