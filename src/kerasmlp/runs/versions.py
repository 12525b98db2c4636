"""What a figure depends on beside the settings: versions and machine."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    packages = ("kerasmlp", "tensorflow", "keras", "numpy", "tensorboard")
    found = {package: importlib.metadata.version(package) for package in packages}
    return {"python": platform.python_version(), **found}


def environment() -> dict[str, Any]:
    """Return the versions, and the machine."""
    return {
        "versions": versions(),
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
