"""Atomic writes: a file is written whole or not at all, also if the process is killed."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PART = ".part-"
"""The start of the name of a file that is still being written."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path in the same folder to write to. After the block, the new file replaces `path`.

    The file is flushed to the disk before. If the block fails, `path` does not change.

    Raises:
        OSError: the file cannot be written. The error names `path`.
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
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def write(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    with replacing(path) as part:
        part.write_bytes(content)


def _flush_folder(folder: Path) -> None:
    """Flush the names of the files in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
