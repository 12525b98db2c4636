"""The callbacks of a run, in the order in which they are called."""

import functools
from collections.abc import Sequence
from typing import Any

import keras

from kerasmlp import callbacks, tensorboard
from kerasmlp.checkpoints import Checkpoint
from kerasmlp.data import Batches, unpacked
from kerasmlp.runs import run_folder, summary
from kerasmlp.runs.by_name import new_callbacks
from kerasmlp.runs.record import Record
from kerasmlp.runs.run_settings import RunSettings
from kerasmlp.runs.settings import Settings
from kerasmlp.runs.task import Task
from kerasmlp.runs.versions import versions


def run_callbacks(
    settings: RunSettings,
    task: Task,
    record: Record,
    stopwatch: callbacks.Stopwatch,
    interruption: callbacks.Interruption,
    given: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 1,
) -> list[Any]:
    """Return the callbacks of a run, with those `given`.

    `stopwatch` is the first one, the `Checkpoint` the last.
    """
    folder = record.folder
    swaps = any(isinstance(callback, keras.callbacks.SwapEMAWeights) for callback in given)
    batch_losses = callbacks.BatchLosses()
    about = functools.partial(
        summary.lines,
        *(settings, task.model, task.batches, task.data),
        validation=task.validation_examples,
        test=None if task.test is None else len(task.test),
    )
    shown = _dashboards(task, record, stopwatch, batch_losses)
    others = [
        stopwatch,
        batch_losses,
        *([callbacks.EvaluateAverage()] if task.validates_average and not swaps else []),
        *([callbacks.ProgressLine(stopwatch, about, verbose != 2)] if verbose else []),
        *([callbacks.PrintBatchLoss(batch_losses)] if settings.verbose else []),
        callbacks.StopAtNonFinite(batch_losses),
        *([callbacks.Profile(folder / "train")] if settings.profile else []),
        *(callback for name, callback in shown.items() if name in settings.summaries),
        *given,
        callbacks.CSVLogger(folder / run_folder.HISTORY, validates=task.validation is not None),
        keras.callbacks.History(),
    ]

    constant = {"data": task.fingerprint, "versions": versions()}

    def state_of_the_run() -> dict[str, Any]:
        record.events.flush()
        return {"files": run_folder.lengths(folder), **constant}

    checkpoint = Checkpoint(
        record.checkpoints,
        settings.checkpoint_interval,
        "val_loss" if task.validation is not None else "loss",
        others,
        state_of_the_run,
        interruption,
        record.resumed,
    )
    return [*others, checkpoint]


def _dashboards(
    task: Task, record: Record, stopwatch: callbacks.Stopwatch, batch_losses: callbacks.BatchLosses
) -> dict[str, keras.callbacks.Callback]:
    batches, augment = task.batches, None
    if isinstance(batches, Batches) and batches.augment is not None:
        augment = functools.partial(batches.augmented, step=0)
    return tensorboard.all_dashboards(
        record.events,
        task.sample,
        task.shown,
        unpacked(batches.element_spec)[0],
        stopwatch,
        batch_losses,
        augment,
    )


def given_callbacks(settings: Settings, task: Task) -> list[keras.callbacks.Callback]:
    """Return the callbacks that the settings of `train` ask for.

    Raises:
        ValueError: the function that `settings.callbacks` names returns none.
    """
    loss = "loss" if task.validation is None else "val_loss"
    found: list[keras.callbacks.Callback] = []
    if settings.reduce_lr:
        found.append(keras.callbacks.ReduceLROnPlateau(loss, patience=settings.reduce_lr))
    if settings.early_stopping:
        patience = settings.early_stopping
        found.append(keras.callbacks.EarlyStopping(loss, patience=patience, restore_best_weights=True))
    return [*found, *(new_callbacks(settings.callbacks) if settings.callbacks else [])]
