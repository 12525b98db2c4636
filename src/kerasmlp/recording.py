"""What is recorded of a run: by its callbacks while it trains, and once at its start and at its end."""

import dataclasses
import functools
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb

from kerasmlp import hparams, projector, run, summaries
from kerasmlp.batches import Batches, scale
from kerasmlp.callbacks import BatchLosses, PrintBatchLoss, ProgressLine, StopAtNonFinite, Stopwatch
from kerasmlp.checkpointing import Checkpoint
from kerasmlp.checkpoints import Checkpoints, Contents
from kerasmlp.config import Settings
from kerasmlp.events import Events
from kerasmlp.examples import Examples
from kerasmlp.interruption import Interruption
from kerasmlp.model import MLP
from kerasmlp.profiling import Profile

SAMPLE = 1000
"""The first of the training images, of which gradients and an evaluation are shown."""
VALIDATION = 2000
"""The first of the validation images, of which errors and curves are shown."""


@dataclasses.dataclass(frozen=True)
class Training:
    """What is trained, on what, and where that is written.

    Attributes:
        settings: of the run.
        folder: of the run.
        model: compiled.
        batches: of the training.
        validation: the images held out and their labels; None if there are none.
        fingerprint: of the data.
    """

    settings: Settings
    folder: Path
    model: MLP
    batches: Batches
    validation: Examples | None
    fingerprint: str


def callbacks(
    training: Training,
    events: Events,
    stopwatch: Stopwatch,
    files: Checkpoints,
    interruption: Interruption,
    resumed: Contents | None = None,
) -> list[Any]:
    """Return the callbacks of a run, in the order in which they hear of a step, `Checkpoint` last.

    Args:
        training: what they watch.
        events: what TensorBoard shows.
        stopwatch: the first of them.
        files: the checkpoints of the run.
        interruption: knows of a signal.
        resumed: the checkpoint that the run goes on from.
    """
    settings, folder, batches = training.settings, training.folder, training.batches
    batch_losses = BatchLosses()
    sample = Examples(batches.images[:SAMPLE], batches.labels[:SAMPLE])
    shown = training.validation and training.validation.first(VALIDATION)
    augment = functools.partial(batches.augmented, step=0) if batches.augment else None
    dashboards = {
        "scalars": summaries.Scalars(events, sample, stopwatch, batch_losses),
        "graphs": summaries.Graph(events, batches.input_spec),
        "histograms": summaries.Histograms(events, sample),
        "images": summaries.Images(events, sample, shown, augment),
        "pr_curves": summaries.PRCurves(events, shown),
    }
    others = [
        stopwatch,
        batch_losses,
        ProgressLine(stopwatch),
        *([PrintBatchLoss(batch_losses)] if settings.verbose else []),
        StopAtNonFinite(batch_losses),
        *([Profile(folder / "train")] if settings.profile else []),
        *(callback for name, callback in dashboards.items() if name in settings.summaries),
        keras.callbacks.CSVLogger(folder / run.HISTORY, append=True),
        keras.callbacks.History(),
    ]

    constant = {"data": training.fingerprint, "versions": run.versions()}

    def state_of_the_run() -> dict[str, Any]:
        events.flush()
        return {"files": run.lengths(folder), **constant}

    monitored = "val_loss" if training.validation else "loss"
    interval = settings.checkpoint_interval
    checkpoint = Checkpoint(files, interval, monitored, others, state_of_the_run, interruption, resumed)
    return [*others, checkpoint]


def begin(training: Training, events: Events) -> None:
    """Write what is known before the first step: the texts.

    Raises:
        OSError: they cannot be written.
    """
    if "text" not in training.settings.summaries:
        return
    environment = run.environment()
    texts = {
        "settings": _table(dataclasses.asdict(training.settings)),
        "command": f"    {shlex.join(sys.orig_argv)}",
        "versions": _table({**environment["versions"], **environment["machine"]}),
    }
    events.write(".", events.initial_step, text_pb, texts)


def end(training: Training, events: Events, test: Examples, metrics: Mapping[str, Any]) -> None:
    """Write what the trained model makes of the test images, and the run's row in HParams.

    Args:
        training: that has ended.
        events: what TensorBoard shows.
        test: images and labels.
        metrics: of the run, as in `metrics.json`.

    Raises:
        OSError: it cannot be written.
    """
    model, folder, shown = training.model, training.folder, training.settings.summaries
    step = int(model.optimizer.iterations)
    if "scalars" in shown:
        values = {f"{name}/evaluation": metrics[f"test_{name}"] for name in ("loss", "accuracy")}
        events.write("test", step, scalar_pb, values)
    if "images" in shown:
        summaries.write_first_layer(events, "test", model, test)
        summaries.write_errors(events, "test", model, test)
    if "pr_curves" in shown:
        summaries.write_pr_curves(events, "test", model, test)
    if "projector" in shown:
        said = test.probabilities(model).argmax(axis=1)
        images = test.images[: projector.POINTS]
        activations = model.activations(scale(tf.constant(images))).numpy()
        events.add("test", step)  # what has no event is no run to TensorBoard
        projector.write(folder / "test", activations, images, test.labels, said)
    if "hparams" in shown:
        settings = hparams.of_run(dataclasses.asdict(training.settings), metrics)
        hparams.write(events, folder.name, ".", step, settings, metrics)


def _table(values: Mapping[str, Any]) -> str:
    """Return a table in Markdown."""
    rows = (f"| {name} | {_cell(value)} |" for name, value in values.items())
    return "\n".join(["| | |", "| --- | --- |", *rows])


def _cell(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"`{text}`".replace("|", "\\|") if text else ""
