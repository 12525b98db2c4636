"""The TensorBoard runs of a comparison, one for each row."""

import contextlib
import re
from pathlib import Path

from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from kerasmlp.comparison.result import Comparison
from kerasmlp.processes import Talk
from kerasmlp.tensorboard import Events, hparams

NO_NAME = r'[/\\:*?"<>|]'
"""What stands in no name of a folder on one system or another."""


def write(_: Talk, comparison: Comparison, folder: Path) -> None:
    """Write a run for each row: the loss of each step, the metrics of each epoch, HParams."""
    settings = comparison.settings
    per_epoch = settings["steps_per_epoch"]
    with contextlib.closing(Events(folder)) as events:
        for outcome in comparison.outcomes:
            trajectory, sub_run = outcome.trajectory, re.sub(NO_NAME, "_", outcome.name)
            if trajectory is None:
                continue
            for step, loss in enumerate(trajectory.losses, 1):
                events.write(sub_run, step, scalar_pb, {"loss/batch": loss})
            for name, epochs in trajectory.history.items():
                for epoch, value in enumerate(epochs, 1):
                    events.write(sub_run, epoch * per_epoch, scalar_pb, {f"{name}/running": value})
            final = {name: epochs[-1] for name, epochs in trajectory.history.items()}
            if (cost := outcome.cost) is not None:
                final |= {"seconds_per_epoch": cost.median, "steps_per_second": cost.steps_per_second}
                final["peak_megabytes"] = cost.peak_megabytes
            compiled = {
                name: getattr(trajectory, name) for name in ("jit_compile", "steps_per_execution")
            }
            shown = compiled | {name: settings[name] for name in ("epochs", "batch_size")}
            last, name = settings["epochs"] * per_epoch, str(Path(folder.name, sub_run))
            hparams.write_metrics(events, sub_run, last, final)
            hparams.write(events, sub_run, last, name, outcome.name, shown, final)
