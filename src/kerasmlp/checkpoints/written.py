"""The files that Keras' callbacks append to: how long they were at a checkpoint, and cut to that."""

import glob
import os
import sys
from pathlib import Path

from keras.callbacks import Callback, CSVLogger, TensorBoard

from kerasmlp.checkpoints.keras_callbacks import Callbacks, flush_events

Lengths = dict[str, int]
"""The bytes of each file, by its path in the folder that the callback writes to."""
EVENTS = ["train/events.out.tfevents.*", "validation/events.out.tfevents.*"]


def lengths(callbacks: Callbacks) -> list[Lengths]:
    """Return the lengths of the files of each callback that appends to files, all events written."""
    appending = _appending(callbacks)
    for callback in appending:
        if isinstance(callback, TensorBoard):
            flush_events(callback)
    return [{name: path.stat().st_size for name, path in _files(one).items()} for one in appending]


def go_on(callbacks: Callbacks, saved: list[Lengths]) -> None:
    """Cut the files of the callbacks to the lengths of a checkpoint, and let the callbacks append.

    Of `TensorBoard`, event files that are newer than the checkpoint are removed. Where files are missing
    or too short, a line on standard error says so; then all files stay as they are.

    Raises:
        ValueError: the lengths are those of other callbacks.
    """
    appending = _appending(callbacks)
    if len(appending) != len(saved):
        raise ValueError(
            f"the checkpoint is of a run with other callbacks: expected {len(saved)} of CSVLogger and"
            f" TensorBoard; received {len(appending)}"
        )
    for callback, sizes in zip(appending, saved, strict=True):
        complete = _cut(callback, sizes)
        if isinstance(callback, CSVLogger):
            callback.append = True
        elif complete:
            callback.write_graph = False  # the graphs are in the files


def _appending(callbacks: Callbacks) -> list[Callback]:
    return [callback for callback in callbacks if isinstance(callback, CSVLogger | TensorBoard)]


def _files(callback: Callback) -> dict[str, Path]:
    """Return the files that `callback` appends to, by their path in its folder."""
    if isinstance(callback, CSVLogger):
        path = Path(callback.filename)
        folder, patterns = path.parent, [glob.escape(path.name)]
    else:
        folder, patterns = Path(callback.log_dir), EVENTS
    found = (path for pattern in patterns for path in folder.glob(pattern))
    return {path.relative_to(folder).as_posix(): path for path in found}


def _cut(callback: Callback, sizes: Lengths) -> bool:
    """Cut the files of `callback`. Return whether they hold all that was written before."""
    files = _files(callback)
    for name, size in sizes.items():
        received = files[name].stat().st_size if name in files else 0
        if received < size:
            print(
                f"warning: {type(callback).__name__}: expected {name} of at least {size:,} bytes;"
                f" received {received:,}; what it wrote before the checkpoint is not complete",
                file=sys.stderr,
            )
            return False
    for name, path in files.items():
        if name in sizes:
            os.truncate(path, sizes[name])
        else:
            path.unlink()
    return True
