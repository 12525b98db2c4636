"""The checkpoint files of a run: written whole or not at all, and verified before they are used.

A checkpoint is one file, `step-000001100.npz`: arrays and a JSON text in NumPy's format, followed by
their SHA-256. `numpy.load` can open it. It contains no code, and reading it runs no code.
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
"""The name of the JSON text in a checkpoint."""
DIGEST_BYTES = hashlib.sha256().digest_size


@dataclasses.dataclass(frozen=True)
class Contents:
    """The contents of a checkpoint.

    `arrays` has all variables, and the arrays in the state of the callbacks, by name. `state` has the
    rest, as JSON can hold it.
    """

    arrays: dict[str, NDArray[Any]]
    state: dict[str, Any]


def write(path: Path, contents: Contents) -> None:
    """Write `contents` to `path`, whole or not at all, flushed to the disk."""
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(contents.state).encode(), np.uint8)
    np.savez(buffer, **{**contents.arrays, TEXT: text})  # type: ignore[arg-type]
    buffer.write(hashlib.sha256(buffer.getbuffer()).digest())
    atomic.write(path, buffer.getvalue())


def read(path: Path) -> Contents:
    """Return the contents of the checkpoint at `path`.

    Raises:
        ValueError: the file is damaged.
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    body, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError(f"{path} is damaged: its SHA-256 does not match its content")
    with np.load(io.BytesIO(body), allow_pickle=False) as members:
        arrays = {name: members[name] for name in members.files}
    return Contents(arrays, json.loads(arrays.pop(TEXT).tobytes()))


class Checkpoints:
    """The checkpoints in a folder, which is made if it does not exist. Only the newest `keep` are kept.

    A new checkpoint is the newest: those of later steps were damaged when the run was resumed, and are
    removed.

    A thread writes them while the training continues. If a write fails, the next `save`, `wait` or
    `close` raises its `OSError`. Earlier checkpoints are unchanged.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        folder.mkdir(exist_ok=True)
        self._folder, self._keep = folder, keep
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoints")
        self._pending: concurrent.futures.Future[None] | None = None

    def save(self, step: int, contents: Contents) -> None:
        """Write a checkpoint of the state after `step` steps. Wait for the previous one first."""
        self.wait()
        self._pending = self._writer.submit(self._save, self._folder / f"step-{step:09}.npz", contents)

    def wait(self) -> None:
        """Wait until the last checkpoint is written."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Wait until the last checkpoint is written, and end the thread."""
        with self._writer:
            self.wait()

    def newest(self) -> Contents | None:
        """Return the newest checkpoint that is not damaged. None if the folder has no checkpoints.

        A line on standard error names each damaged checkpoint.

        Raises:
            ValueError: all checkpoints are damaged.
        """
        paths = sorted(self._folder.glob(PATTERN))
        for path in reversed(paths):
            try:
                return read(path)
            except (ValueError, OSError) as error:
                print(f"warning: {error}; trying the checkpoint before it", file=sys.stderr)
        if paths:
            raise ValueError(
                f"{self._folder}: expected an undamaged checkpoint; all {len(paths)} are damaged"
            )
        return None

    def _save(self, path: Path, contents: Contents) -> None:
        write(path, contents)
        found = sorted(self._folder.glob(PATTERN))
        kept = [each for each in found if each <= path][-self._keep :]
        for each in set(found).difference(kept):
            each.unlink(missing_ok=True)
