"""How a file is written whole or not at all, whatever happens meanwhile."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PART = ".part-"
"""What the name of a file that is not yet whole begins with."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a new path beside `path`; what the block writes there takes its place, flushed to the disk.

    Where the block fails, `path` stays as it was.

    Raises:
        OSError: it cannot be written; the error names `path`.
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
    """Let `path` be a file of `content`, as `replacing` does."""
    with replacing(path) as part:
        part.write_bytes(content)


def _flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
