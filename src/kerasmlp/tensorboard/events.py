"""The event files that TensorBoard reads, one for each sub-run of a folder; and what each tag means.

The events are TensorBoard's own, made with NumPy: an epoch's scalars cost a tenth of what `tf.summary`
takes, and nothing takes hold of a device.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat import tf
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from kerasmlp.tensorboard.tags import about

FLUSH = 10
"""Seconds after which an event is in its file at the latest, for a TensorBoard that is open."""


class Events:
    """Writes events into the sub-runs of a folder.

    Args:
        folder: whose sub-folders the sub-runs are; `.` is the folder itself.
        initial_step: of a run that goes on: a TensorBoard that is open forgets what it read beyond.
    """

    def __init__(self, folder: Path, initial_step: int = 0) -> None:
        self.initial_step = initial_step
        self.folder = folder
        self._writers: dict[str, Any] = {}

    def add(self, sub_run: str, step: int, *summaries: Any, **content: Any) -> None:
        """Add an event to a sub-run, whose event file is made at its first.

        Args:
            sub_run: to which.
            step: the optimizer's.
            summaries: what it shows.
            content: other fields of the event.

        Raises:
            OSError: it cannot be written.
        """
        if summaries:
            content["summary"] = Summary()
        for summary in summaries:
            # Some of TensorBoard's are of TensorFlow's class, which is the same in bytes.
            content["summary"].MergeFromString(summary.SerializeToString())
        with _os_errors(self.folder / sub_run):
            if sub_run not in self._writers:
                writer = EventFileWriter(str(self.folder / sub_run), flush_secs=FLUSH)
                self._writers[sub_run] = writer
                if self.initial_step:
                    start = SessionLog(status=SessionLog.START)
                    writer.add_event(Event(step=self.initial_step + 1, session_log=start))
            self._writers[sub_run].add_event(Event(wall_time=time.time(), step=step, **content))

    def write(
        self, sub_run: str, step: int, make: Callable[..., Any], values: Mapping[str, Any]
    ) -> None:
        """Add summaries of one kind, by tag.

        Args:
            sub_run: to which.
            step: the optimizer's.
            make: is called with a tag, its value and `description`, and returns a Summary; as
                TensorBoard's `scalar_pb` is.
            values: by tag.

        Raises:
            OSError: they cannot be written.
        """
        made = (make(tag, value, description=about(tag)) for tag, value in values.items())
        self.add(sub_run, step, *made)

    def flush(self) -> None:
        """Write to the files what has been added so far.

        Raises:
            OSError: they cannot be written.
        """
        for sub_run, writer in self._writers.items():
            with _os_errors(self.folder / sub_run):
                writer.flush()

    def close(self) -> None:
        """Write what has been added, and close the files.

        Raises:
            OSError: they cannot be written.
        """
        while self._writers:
            sub_run, writer = self._writers.popitem()
            with _os_errors(self.folder / sub_run):
                writer.close()


@contextlib.contextmanager
def _os_errors(folder: Path) -> Iterator[None]:
    """Let what TensorFlow raises of a file system be an `OSError`, as elsewhere."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"{folder}: {error.message}") from error
