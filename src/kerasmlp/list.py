"""List the runs of a folder: what was trained, how far it came, and what it reached."""

import dataclasses
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from kerasmlp import cli, flags
from kerasmlp.runs import run_folder

if TYPE_CHECKING:
    from rich.table import Table


@dataclasses.dataclass(frozen=True)
class Settings:
    """List the runs in a folder, the newest last. Of one that has not ended, show how it goes on.

    The runs of kerasmlp.seeds are in a folder of their own: kerasmlp list logs/NAME.

    Args:
        logdir: The folder of the run folders.
    """

    logdir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="LOGDIR")] = run_folder.LOGS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""

    def command() -> None:
        settings = flags.parse(Settings, "kerasmlp.list", argv)
        if not settings.logdir.is_dir():
            raise ValueError(f"expected a folder of run folders; {settings.logdir} is none")
        folders = run_folder.begun(settings.logdir)
        if folders:
            from rich.console import Console

            Console().print(_table(folders))
        for folder in folders:
            if not _result(folder):
                command = run_folder.resume_command(run_folder.made_by(folder), folder)
                print(f"{folder.name} has not ended; to go on: {command}")
        print(f"{len(folders)} run{'s' if len(folders) != 1 else ''} in {settings.logdir}")

    return cli.run(command)


def _table(folders: Sequence[Path]) -> "Table":
    from rich.table import Table

    drawn = Table(show_edge=False)  # so that it fits 80 columns
    for title in ("name", "model", "data", "loop"):
        drawn.add_column(title, overflow="fold")
    drawn.add_column("epochs", justify="right")
    for title in ("val accuracy", "test accuracy"):
        drawn.add_column(title, justify="right", min_width=max(map(len, title.split())))
    drawn.add_column("ended", overflow="fold")
    for folder in folders:
        drawn.add_row(*_cells(folder))
    return drawn


def _cells(folder: Path) -> list[str]:
    """Return the row of a run."""
    given, metrics = run_folder.read_json(folder / run_folder.SETTINGS), _result(folder)
    units = " ".join(map(str, given.get("hidden_units", ())))
    of_mlp = f"MLP {units}" if units else metrics.get("model", "")
    seeds = f"{given['seeds']} seeds of " if "seeds" in given else ""
    return [
        folder.name,
        f"{seeds}{given.get('model') or of_mlp}",
        Path(metrics.get("dataset") or given.get("data") or "").name,
        given.get("loop", ""),
        _epochs(folder, given, metrics),
        *(_accuracy(metrics, name) for name in ("validation_accuracy", "test_accuracy")),
        _time(folder) if metrics else "",
    ]


def _result(folder: Path) -> dict[str, Any]:
    """Return the metrics of a run, of several seeds their means. Nothing if it has not ended."""
    of_seeds = run_folder.made_by(folder) == "kerasmlp.seeds"
    return run_folder.read_json(folder / (run_folder.SEEDS if of_seeds else run_folder.METRICS))


def _epochs(folder: Path, given: dict[str, Any], metrics: dict[str, Any]) -> str:
    """Return the number of epochs; of a run that has not ended also how many it has behind it."""
    epochs = str(metrics.get("epochs", given.get("epochs", "")))
    if metrics or "seeds" in given:
        return epochs
    try:
        lines = (folder / run_folder.HISTORY).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    return f"{max(0, len(lines) - 1)} of {epochs or '?'}"


def _accuracy(metrics: dict[str, Any], name: str) -> str:
    value = metrics.get(name)
    if isinstance(value, dict):  # of several seeds
        value = value.get("mean")
    return "" if value is None else f"{value:.4f}"


def _time(folder: Path) -> str:
    """Return when a run has ended."""
    names = (run_folder.SEEDS, run_folder.METRICS)
    (path,) = (folder / name for name in names if (folder / name).exists())
    return f"{datetime.datetime.fromtimestamp(path.stat().st_mtime):%Y-%m-%d %H:%M}"


if __name__ == "__main__":
    sys.exit(main())
