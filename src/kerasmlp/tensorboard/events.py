"""The event files that TensorBoard reads: one for each sub-run of a folder.

The events are made with NumPy, in TensorBoard's format. Writing the scalars of an epoch takes a tenth of
the time that `tf.summary` takes, and no device is used.
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

FLUSH_SECONDS = 10
"""The longest time until an event is in its file, where an open TensorBoard can read it."""


class Events:
    """Writes events into the sub-runs of a folder. All methods raise `OSError` if a write fails.

    Args:
        folder: the folder of the run. Each sub-run is a sub-folder; `.` is the folder itself.
        initial_step: the step that a resumed run starts with, 0 for a new run. An open TensorBoard then
            forgets all events after this step.
    """

    def __init__(self, folder: Path, initial_step: int = 0) -> None:
        self.folder, self.initial_step = folder, initial_step
        self._writers: dict[str, Any] = {}

    def add(self, sub_run: str, step: int, *summaries: Any, **content: Any) -> None:
        """Add an event: its summaries, or other fields. The first event of a sub-run makes its file."""
        if summaries:
            # Some are of TensorFlow's class, which has the same bytes. Joining the bytes merges them.
            parts = [summary.SerializeToString() for summary in summaries]
            content["summary"] = Summary.FromString(b"".join(parts))
        with _os_errors(self.folder / sub_run):
            if sub_run not in self._writers:
                writer = EventFileWriter(str(self.folder / sub_run), flush_secs=FLUSH_SECONDS)
                self._writers[sub_run] = writer
                if self.initial_step:
                    start = SessionLog(status=SessionLog.START)
                    writer.add_event(Event(step=self.initial_step + 1, session_log=start))
            self._writers[sub_run].add_event(Event(wall_time=time.time(), step=step, **content))

    def write(
        self, sub_run: str, step: int, make: Callable[..., Any], values: Mapping[str, Any]
    ) -> None:
        """Add an event with a summary of each value, described by the meaning of its tag.

        `make(tag, value, description=meaning)` returns a summary, as TensorBoard's `scalar_pb` does.
        """
        summaries = (make(tag, value, description=about(tag)) for tag, value in values.items())
        self.add(sub_run, step, *summaries)

    def flush(self) -> None:
        """Write all added events to the files."""
        for sub_run, writer in self._writers.items():
            with _os_errors(self.folder / sub_run):
                writer.flush()

    def close(self) -> None:
        """Write all added events, and close the files."""
        while self._writers:
            sub_run, writer = self._writers.popitem()
            with _os_errors(self.folder / sub_run):
                writer.close()


@contextlib.contextmanager
def _os_errors(folder: Path) -> Iterator[None]:
    """Raise an `OSError` where TensorFlow raises its own error for a failed write."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"{folder}: {error.message}") from error
