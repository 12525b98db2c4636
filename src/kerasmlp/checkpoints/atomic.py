"""Atomic writes: a file is written whole or not at all, also if the process is killed."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PART = ".part-"
"""The name of a file that is still being written starts with this."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path in the same folder to write to. After the block, the file replaces `path`.

    It is flushed to the disk before. If the block fails, `path` does not change. An `OSError` names it.
    """
    part = path.with_name(f"{PART}{path.name}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
        _flush_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def write(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all. An `OSError` names `path`."""
    with replacing(path) as part:
        part.write_bytes(content)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folder, and so flushes none
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
