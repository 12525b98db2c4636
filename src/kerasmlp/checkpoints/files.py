"""The checkpoints of a run: files written whole or not at all, and checked before they are used.

A checkpoint is one file, `step-000001100.npz`: NumPy's format, the arrays and a JSON text, followed by
the SHA-256 of all that. `numpy.load` opens it as it is. It holds no code, and none is run when it is
read.
"""

import concurrent.futures
import dataclasses
import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasmlp.checkpoints import atomic

PATTERN = "step-*.npz"
TEXT = "state.json"
"""The member of a checkpoint that is not a variable."""
DIGEST_BYTES = hashlib.sha256().digest_size


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a checkpoint holds.

    Attributes:
        arrays: by name.
        state: what JSON can hold, and is no array.
    """

    arrays: dict[str, NDArray[Any]]
    state: dict[str, Any]


def write(path: Path, contents: Contents) -> None:
    """Write `contents` to `path`, whole or not at all, and flushed to the disk.

    Raises:
        OSError: it cannot be written.
    """
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(contents.state).encode(), np.uint8)
    np.savez(buffer, **{**contents.arrays, TEXT: text})  # type: ignore[arg-type]
    buffer.write(hashlib.sha256(buffer.getbuffer()).digest())
    atomic.write(path, buffer.getvalue())


def read(path: Path) -> Contents:
    """Return what the checkpoint at `path` holds.

    Raises:
        ValueError: it is not what was written.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    body, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError(f"{path} is damaged: its SHA-256 is not the one that it was written with")
    with np.load(io.BytesIO(body), allow_pickle=False) as members:
        arrays = {name: members[name] for name in members.files}
    return Contents(arrays, json.loads(arrays.pop(TEXT).tobytes()))


class Checkpoints:
    """The checkpoints in a folder, the newest `keep` of them.

    They are written by a thread beside the training. What a write raises is raised by the next call.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        folder.mkdir(exist_ok=True)
        self._folder, self._keep = folder, keep
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoints")
        self._pending: concurrent.futures.Future[None] | None = None

    def save(self, step: int, contents: Contents) -> None:
        """Write a checkpoint of the state after `step` steps, when the one before is written."""
        self.wait()
        self._pending = self._writer.submit(self._save, self._folder / f"step-{step:09}.npz", contents)

    def wait(self) -> None:
        """Return when all is written.

        Raises:
            OSError: a checkpoint could not be written. Those before it are as they were.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Wait, and end the thread."""
        try:
            self.wait()
        finally:
            self._writer.shutdown()

    def newest(self) -> Contents | None:
        """Return the newest checkpoint that is whole, or None if there is none and never was.

        A line on standard error names each that is damaged.

        Raises:
            ValueError: there are some, but none is whole.
        """
        paths = self._paths()
        for path in reversed(paths):
            try:
                return read(path)
            except (ValueError, OSError) as error:
                print(f"warning: {error}; the one before is used", file=sys.stderr)
        if paths:
            raise ValueError(
                f"{self._folder}: expected a checkpoint that is whole; all {len(paths)} are damaged"
            )
        return None

    def _save(self, path: Path, contents: Contents) -> None:
        write(path, contents)
        for old in self._paths()[: -self._keep]:
            old.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        """Return the files, the oldest first."""
        return sorted(self._folder.glob(PATTERN))
