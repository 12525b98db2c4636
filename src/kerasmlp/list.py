"""List the runs of a folder: what was trained, how far it came, and what it reached."""

import dataclasses
import datetime
import json
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
        print(f"{len(folders)} runs in {settings.logdir}")

    return cli.run(command)


def _table(folders: Sequence[Path]) -> "Table":
    from rich.table import Table

    drawn = Table()
    for title in ("name", "model", "data", "loop"):
        drawn.add_column(title, overflow="fold")
    for title in ("epochs", "test accuracy"):
        drawn.add_column(title, justify="right")
    drawn.add_column("ended", overflow="fold")
    for folder in folders:
        drawn.add_row(*_cells(folder))
    return drawn


def _cells(folder: Path) -> list[str]:
    """Return the row of a run."""
    given, metrics = (_read(folder / name) for name in (run_folder.SETTINGS, run_folder.METRICS))
    units = " ".join(map(str, given.get("hidden_units", ())))
    accuracy = metrics.get("test_accuracy")
    return [
        folder.name,
        given.get("model") or (f"MLP {units}" if units else ""),
        Path(metrics.get("dataset") or given.get("data") or "").name,
        given.get("loop", ""),
        str(metrics.get("epochs", given.get("epochs", ""))),
        "" if accuracy is None else f"{accuracy:.4f}",
        _end(folder, given) if not metrics else _time(folder / run_folder.METRICS),
    ]


def _end(folder: Path, given: dict[str, Any]) -> str:
    """Return how a run goes on."""
    if "recipe" in given:
        return run_folder.resume_command("kerasmlp.train", folder)
    return run_folder.resume_call(folder)


def _time(path: Path) -> str:
    return f"{datetime.datetime.fromtimestamp(path.stat().st_mtime):%Y-%m-%d %H:%M}"


def _read(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; nothing if there is none, or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
