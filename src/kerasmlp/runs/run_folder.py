"""The run folder: its path, the names of its files, and its lock."""

import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasmlp.checkpoints import atomic

LOGS = Path("logs")
"""The folder of the run folders, by default."""
LATEST = Path("latest")
"""Names the newest run in `LOGS`."""
SETTINGS = "config.json"
METRICS = "metrics.json"
SEEDS = "seeds.json"
HISTORY = "history.csv"
FIGURE = "history.png"
MODEL = "model.keras"
CHECKPOINTS = "checkpoints"
BEST = "best.keras"
EVENTS = "**/events.out.tfevents.*"
LOCK = ".lock"
"""An empty file that is locked while a process trains into the folder, and then removed."""


def create(logdir: Path, name: str | None, default_name: str, resume: bool = False) -> Path:
    """Make a new run folder in `logdir`, and return its path.

    Without a name, it is named by the time and `default_name`, with a number if that name is taken. With
    `resume`, there may be a folder without files: a process was killed before its run had begun.

    Raises:
        FileExistsError: there is a run of that name.
        OSError: the folder cannot be made.
    """
    logdir.mkdir(parents=True, exist_ok=True)
    if name is not None:
        folder = logdir / name
        if resume and folder.is_dir() and not _has_files(folder):
            return folder
        if os.path.lexists(folder):
            raise FileExistsError(f"--name: expected the name of a new run; {folder} exists")
        folder.mkdir()
        return folder
    stem = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{default_name}"
    for number in itertools.count(1):
        folder = logdir / (stem if number == 1 else f"{stem}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            break
    return folder


def _has_files(folder: Path) -> bool:
    return any(path.is_file() and path.name != LOCK for path in folder.rglob("*"))


def is_begun(folder: Path) -> bool:
    """Return whether there is a run in the folder."""
    return (folder / SETTINGS).is_file()


def begun(logdir: Path) -> list[Path]:
    """Return the folders of the runs in a folder, in the order in which they were begun or resumed."""
    return [path.parent for path in sorted(logdir.glob(f"*/{SETTINGS}"), key=_time)]


def made_by(settings: dict[str, Any]) -> str:
    """Return what makes a run of these settings: `kerasmlp.train`, `kerasmlp.seeds`, `kerasmlp.fit`."""
    if "seeds" in settings:
        return "kerasmlp.seeds"
    return "kerasmlp.train" if "recipe" in settings else "kerasmlp.fit"


def newest(logdir: Path) -> Path | None:
    """Return the folder of the run that was begun or resumed last; None if there is none.

    The runs of `kerasmlp.seeds`, which have a folder of their own, are not meant.
    """
    for folder in reversed(begun(logdir)):
        if made_by(read_json(folder / SETTINGS)) != "kerasmlp.seeds":
            return folder
    return None


def named(run: Path) -> Path:
    """Return the folder of a run, or the file of a model, as a user names it: also `latest`."""
    if run != LATEST or run.exists():
        return run
    return newest(LOGS) or run


def _time(path: Path) -> float:
    return path.stat().st_mtime


def resume_command(module: str, folder: Path) -> str:
    """Return the command, or the call, that resumes the run in a folder, which `module` has made."""
    if module == "kerasmlp.fit":
        return f"kerasmlp.fit(..., run={str(folder)!r}, resume=True)"
    command = ["python", "-m", module, "--resume", "--name", folder.name]
    command += ["--logdir", str(folder.parent)] if folder.parent != LOGS else []
    return shlex.join(command)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the run folder, so that no other process trains into it.

    Raises:
        BlockingIOError: another process has locked it.
    """
    import filelock  # here, because most commands lock nothing

    with contextlib.ExitStack() as stack:
        try:  # the end of the process, however it ends, unlocks it too
            stack.enter_context(filelock.FileLock(folder / LOCK, timeout=0))
        except filelock.Timeout:
            raise BlockingIOError(f"{folder}: another process is training this run") from None
        try:
            yield
        finally:  # while it is locked: who waits for a file that is gone, does not get the lock
            with contextlib.suppress(OSError):  # Windows removes it later
                (folder / LOCK).unlink()


def lengths(folder: Path) -> dict[str, int]:
    """Return the number of bytes of each file that a training appends to."""
    files = [folder / HISTORY, *folder.glob(EVENTS)]
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files if path.exists()}


def cut(folder: Path, lengths: dict[str, int]) -> None:
    """Cut those files to these lengths, and remove what was half written when the run ended."""
    for path in [folder / HISTORY, *folder.glob(EVENTS)]:
        length = lengths.get(path.relative_to(folder).as_posix(), 0)
        if not length:
            path.unlink(missing_ok=True)
        elif path.exists() and path.stat().st_size > length:
            os.truncate(path, length)
    for path in [*folder.rglob(f"{atomic.PART}*")]:
        if path.is_dir():  # of an export
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; nothing if there is none, or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, content: Any) -> None:
    """Write `content`, a dataclass or what JSON can hold, to `path`: whole or not at all."""
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        content = dataclasses.asdict(content)
    atomic.write(path, (json.dumps(content, indent=2, default=str) + "\n").encode())
