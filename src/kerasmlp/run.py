"""The run folder: its place, its name, its files of settings and metrics."""

import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

SETTINGS = "config.json"
METRICS = "metrics.json"
HISTORY = "history.csv"
MODEL = "model.keras"
CHECKPOINTS = "checkpoints"


def create(logdir: Path, name: str | None, default_name: str) -> Path:
    """Make a new run folder, and return its path.

    Args:
        logdir: the folder it is made in, itself made if need be.
        name: its name; None for the time and `default_name`, with a number where that is taken.
        default_name: the second part of the name that a run without one gets.

    Raises:
        FileExistsError: there is a run of that name.
        OSError: the folder cannot be made.
    """
    logdir.mkdir(parents=True, exist_ok=True)
    if name is not None:
        folder = logdir / name
        if os.path.lexists(folder):
            raise FileExistsError(f"--name: expected the name of a new run; {folder} exists")
        folder.mkdir()
        return folder
    stem = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{default_name}"
    number = 1
    while True:
        folder = logdir / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1


def write_json(path: Path, content: Any) -> None:
    """Write `content` to `path`, whole or not at all."""
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        content = dataclasses.asdict(content)
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
    part.replace(path)


def environment() -> dict[str, Any]:
    """Return what a figure depends on beside the settings: versions and machine."""
    packages = ("kerasmlp", "tensorflow", "keras", "numpy", "tensorboard")
    return {
        "versions": {
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in packages},
        },
        "machine": {
            "platform": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS"),
        },
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
