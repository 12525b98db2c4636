"""The callbacks of a run, in the order in which they are called."""

import functools
from typing import Any

import keras

from kerasmlp import callbacks, tensorboard
from kerasmlp.checkpoints import Checkpoint
from kerasmlp.data import Examples
from kerasmlp.runs import run_folder
from kerasmlp.runs.record import Record
from kerasmlp.runs.settings import Settings
from kerasmlp.runs.task import Task
from kerasmlp.runs.versions import versions

SAMPLE = 1000
"""The first training images, whose gradients and evaluation are shown."""
VALIDATION = 2000
"""The first validation images, whose errors and curves are shown."""


def run_callbacks(
    settings: Settings,
    task: Task,
    record: Record,
    stopwatch: callbacks.Stopwatch,
    interruption: callbacks.Interruption,
) -> list[Any]:
    """Return the callbacks of a run: `stopwatch` is the first, the `Checkpoint` the last."""
    folder = record.folder
    batch_losses = callbacks.BatchLosses()
    shown = _dashboards(task, record, stopwatch, batch_losses)
    others = [
        stopwatch,
        batch_losses,
        callbacks.EvaluateAverage(),
        callbacks.ProgressLine(stopwatch),
        *([callbacks.PrintBatchLoss(batch_losses)] if settings.verbose else []),
        callbacks.StopAtNonFinite(batch_losses),
        *([callbacks.Profile(folder / "train")] if settings.profile else []),
        *(callback for name, callback in shown.items() if name in settings.summaries),
        keras.callbacks.CSVLogger(folder / run_folder.HISTORY, append=True),
        keras.callbacks.History(),
    ]

    constant = {"data": task.fingerprint, "versions": versions()}

    def state_of_the_run() -> dict[str, Any]:
        record.events.flush()
        return {"files": run_folder.lengths(folder), **constant}

    checkpoint = Checkpoint(
        record.checkpoints,
        settings.checkpoint_interval,
        "val_loss" if task.validation else "loss",
        others,
        state_of_the_run,
        interruption,
        record.resumed,
    )
    return [*others, checkpoint]


def _dashboards(
    task: Task, record: Record, stopwatch: callbacks.Stopwatch, batch_losses: callbacks.BatchLosses
) -> dict[str, keras.callbacks.Callback]:
    batches = task.batches
    return tensorboard.dashboards(
        record.events,
        Examples(batches.x[:SAMPLE], batches.y[:SAMPLE], are_images=True),
        task.validation and task.validation.first(VALIDATION),
        batches.epoch(0).element_spec[0],
        stopwatch,
        batch_losses,
        functools.partial(batches.augmented, step=0) if batches.augment else None,
    )
