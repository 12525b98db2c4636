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


@dataclasses.dataclass(frozen=True)
class _Run:
    """A run, as its files tell of it. They may be damaged, or of another version.

    Attributes:
        made_by: the module that makes it.
        settings: what was asked for.
        metrics: what it reached, of several seeds their means. Nothing if it has not ended.
    """

    folder: Path
    made_by: str
    settings: dict[str, Any]
    metrics: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "_Run":
        settings = run_folder.read_json(folder / run_folder.SETTINGS)
        made_by = run_folder.made_by(settings)
        result = run_folder.SEEDS if made_by == "kerasmlp.seeds" else run_folder.METRICS
        return cls(folder, made_by, settings, run_folder.read_json(folder / result))

    @property
    def cells(self) -> list[str]:
        """Its row in the table."""
        given, metrics = self.settings, self.metrics
        hidden_units = given.get("hidden_units")
        units = " ".join(map(_text, hidden_units)) if isinstance(hidden_units, list) else ""
        of_mlp = f"MLP {units}" if units else _text(metrics.get("model"))
        seeds = f"{_text(given['seeds'])} seeds of " if "seeds" in given else ""
        return [
            _text(self.folder.name),
            f"{seeds}{_text(given.get('model')) or of_mlp}",
            Path(_text(metrics.get("dataset")) or _text(given.get("data"))).name,
            _text(given.get("loop")),
            self._epochs,
            *(_accuracy(metrics.get(name)) for name in ("validation_accuracy", "test_accuracy")),
            self._ended if metrics else "",
        ]

    @property
    def _epochs(self) -> str:
        """The number of epochs; of a run that has not ended also how many it has behind it."""
        epochs = _text(self.metrics.get("epochs", self.settings.get("epochs")))
        if self.metrics or "seeds" in self.settings:
            return epochs
        try:
            lines = (self.folder / run_folder.HISTORY).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            lines = []
        return f"{max(0, len(lines) - 1)} of {epochs or '?'}"

    @property
    def _ended(self) -> str:
        """The time at which it has ended."""
        names = (run_folder.SEEDS, run_folder.METRICS)
        ends = [path.stat().st_mtime for name in names if (path := self.folder / name).exists()]
        return f"{datetime.datetime.fromtimestamp(max(ends)):%Y-%m-%d %H:%M}"


def _text(value: Any) -> str:
    """Return a text or a number as a text that a terminal can show. Nothing for anything else."""
    text = str(value) if isinstance(value, str | int | float) else ""
    return "".join(each if each.isprintable() else "?" for each in text)


def _accuracy(value: Any) -> str:
    if isinstance(value, dict):  # of several seeds
        value = value.get("mean")
    return f"{value:.4f}" if isinstance(value, int | float) else ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""

    def command() -> None:
        settings = flags.parse(Settings, "kerasmlp.list", argv)
        if not settings.logdir.is_dir():
            raise ValueError(f"expected a folder of run folders; {settings.logdir} is none")
        runs = list(map(_Run.read, run_folder.begun(settings.logdir)))
        if runs:
            from rich.console import Console

            Console().print(_table(runs))
        for run in runs:
            if not run.metrics:
                command = run_folder.resume_command(run.made_by, run.folder)
                print(f"{run.folder.name} has not ended; to go on: {command}")
        print(f"{len(runs)} run{'s' if len(runs) != 1 else ''} in {settings.logdir}")

    return cli.run(command)


def _table(runs: Sequence[_Run]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    drawn = Table(show_edge=False)  # so that it fits 80 columns
    for title in ("name", "model", "data", "loop"):
        drawn.add_column(title, overflow="fold")
    drawn.add_column("epochs", justify="right")
    for title in ("val accuracy", "test accuracy"):
        drawn.add_column(title, justify="right", min_width=max(map(len, title.split())))
    drawn.add_column("ended", overflow="fold")
    for run in runs:
        drawn.add_row(*map(Text, run.cells))
    return drawn


if __name__ == "__main__":
    sys.exit(main())
