"""Programs of XLA that a command has compiled, kept for the next one, on Linux. Imports no TensorFlow.

XLA compiles the program of a run for 1 s, and loads a compiled one in a third of that, with the same
result, bit for bit. TensorFlow finds a file by the operations and shapes alone, trusts what is in it,
and fails without a folder that it can write. So the folder has a name of all else that a program depends
on, only files that are as a command has left them are kept, and without such a folder there are none.
"""

import atexit
import contextlib
import hashlib
import importlib.metadata
import os
import tempfile
from pathlib import Path

FLAGS = "TF_XLA_FLAGS"
PROGRAMS = "*.pb"
DIGEST = ".sha256"
"""What the name of a program's digest ends with."""
MOST = 50
"""How many programs are kept: 0.1 to 0.4 MB each for an MLP."""
CPU_LINES = ("vendor_id", "model name", "flags", "Features", "CPU ")
"""What a processor is and can do, in `/proc/cpuinfo`, on x86 and ARM."""


_folders: set[Path] = set()
"""Where this process keeps its programs."""


def keep() -> None:
    """Keep the programs of this process for CPUs, and take those that are kept.

    To be called before TensorFlow is imported. A user's own `TF_XLA_FLAGS` stay as they are, and nothing
    is kept. Without a folder that can be written nothing is kept either.
    """
    is_linux = Path("/proc/cpuinfo").exists() and hasattr(os, "sched_getaffinity")
    if FLAGS in os.environ or not is_linux:
        return
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    folder = caches / "kerasmlp" / f"xla-{_environment()}"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        _remove_damaged(folder)
        _folders.add(folder)
        kept = f"--tf_xla_persistent_cache_directory={folder}"
        os.environ[FLAGS] = f"{kept} --tf_xla_persistent_cache_device_types=CPU"


@atexit.register
def seal() -> None:
    """Write down the digest of each new program. To be called in a process that may be killed."""
    programs = (path for folder in _folders for path in folder.glob(PROGRAMS))
    with contextlib.suppress(OSError):
        for path in programs:
            digest = path.with_name(path.name + DIGEST)
            if not digest.exists():
                digest.write_bytes(_digest(path))


def _environment() -> str:
    """Return a digest of what a program depends on beside its operations and shapes."""
    versions = [importlib.metadata.version(package) for package in ("tensorflow", "keras")]
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    processor = sorted({line for line in lines if line.startswith(CPU_LINES)})
    flags = sorted(item for item in os.environ.items() if item[0].startswith(("TF_NUM", "XLA_")))
    on = [versions, processor, len(os.sched_getaffinity(0)), flags]
    return hashlib.sha256(repr(on).encode()).hexdigest()[:16]


def _remove_damaged(folder: Path) -> None:
    """Remove what has another content than at the end of its process, or none known; and the oldest."""
    programs = sorted(folder.glob(PROGRAMS), key=lambda path: path.stat().st_mtime, reverse=True)
    for number, path in enumerate(programs):
        digest = path.with_name(path.name + DIGEST)
        if number >= MOST or not digest.exists() or digest.read_bytes() != _digest(path):
            path.unlink(missing_ok=True)
            digest.unlink(missing_ok=True)


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).hexdigest().encode()
