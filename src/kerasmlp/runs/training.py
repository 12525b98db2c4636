"""A whole run of the MLP: prepared, recorded, driven; then evaluated and saved."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasmlp import callbacks, distribute
from kerasmlp.runs import run_folder
from kerasmlp.runs.settings import Settings

if TYPE_CHECKING:
    from kerasmlp.data import Source
    from kerasmlp.distribute import Distribution
    from kerasmlp.runs.task import Task

MUCH_REMEMBERED = 0.05
"""The share of initial weights in their average from which on the user is warned."""


def train(
    settings: Settings,
    data: "Source | None" = None,
    workers: "Distribution | None" = None,
) -> tuple[Path, dict[str, Any]]:
    """Train as `settings` say. Return the run folder and the content of its `metrics.json`.

    Args:
        settings: the settings of the run.
        data: the data to train on, instead of what `settings.data` names. The run then keeps whether a
            loader has transposed its images.
        workers: what `settings.strategy` asks for, if it has been made. Of the workers of a cluster,
            the chief calls this function; the others call `follow`.

    Raises:
        ValueError: the data is wrong, or does not fit the settings; these are not the settings of the
            run to resume, or of the other workers; none of its checkpoints is whole; or this process is
            not the chief.
        ConnectionError: another worker was lost.
        OSError: the data cannot be read, or the run folder cannot be written.
        FloatingPointError: a loss is infinite or NaN.
        MemoryError: memory ran out.
        Interrupted: SIGINT or SIGTERM came, and the run has been saved.
    """
    from kerasmlp.data import MNISTLoader, read_source
    from kerasmlp.runs.drive import drive, memory_errors
    from kerasmlp.runs.record import opened
    from kerasmlp.runs.results import finish
    from kerasmlp.runs.run_callbacks import given_callbacks
    from kerasmlp.runs.task import prepare

    workers = workers or distribute.distribution(settings.strategy, settings.logical_cpus)
    if not workers.is_chief:
        raise ValueError(f"expected to be called by worker 0, the chief; this is {workers.worker}")
    folder = settings.resumed_folder()
    if data is None:
        data = read_source(settings.data, settings.model is not None, settings.transpose)
    elif isinstance(data, MNISTLoader):
        settings = dataclasses.replace(settings, transpose=data.transpose)
    with memory_errors():
        task = prepare(settings, data)
        workers.expect_same(task.digest, "settings and data")
        with opened(settings, task, folder) as record:
            resume_command = run_folder.resume_command("kerasmlp.train", record.folder)
            with callbacks.resumable_by(resume_command):
                _warn_of_a_short_average(settings, task)
                loop = workers.loop(settings.loop)
                given = given_callbacks(settings, task)
                measured = drive(settings, task, record, loop, given=given, workers=workers)
                return record.folder, finish(settings, task, record, measured)


def follow(settings: Settings, workers: "Distribution") -> None:
    """Train as a worker that is not the chief. Write nothing. Raise what `train` raises."""
    from kerasmlp.data import read_source
    from kerasmlp.runs.drive import memory_errors
    from kerasmlp.runs.task import prepare

    data = read_source(settings.data, settings.model is not None, settings.transpose)
    with memory_errors(), callbacks.Interruption(shared=True) as interruption:
        task = prepare(settings, data)
        workers.expect_same(task.digest, "settings and data")
        stop = distribute.StopTogether(workers, interruption)
        workers.loop(settings.loop)(task.model, task.batches, None, settings.epochs, [stop])


def _warn_of_a_short_average(settings: Settings, task: "Task") -> None:
    steps = settings.epochs * task.batches.steps_per_epoch
    remembered = settings.ema_momentum**steps
    if remembered > MUCH_REMEMBERED:
        print(
            f"note: after {steps:,} steps, the averaged weights are still {remembered:.0%} initial"
            " weights; train longer, or use a smaller --ema-momentum",
            file=sys.stderr,
        )
