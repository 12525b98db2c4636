"""What becomes of Ctrl-C and SIGTERM while a model is trained: the step is finished, then saved."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self


class Interrupted(KeyboardInterrupt):
    """The training was interrupted by a signal.

    Args:
        number: of the signal.
        message: what to tell the user.
        go_on: the command that goes on with what was interrupted, once it is known.
    """

    def __init__(self, number: int, message: str = "interrupted", go_on: str | None = None) -> None:
        super().__init__(message)
        self.number = number
        self.go_on = go_on
        self.status = 128 + number
        """What the process is to exit with: 130 for Ctrl-C, 143 for SIGTERM."""

    def __str__(self) -> str:
        message = super().__str__()
        return message if self.go_on is None else f"{message}; to go on: {self.go_on}"


@contextlib.contextmanager
def going_on_by(command: str) -> Iterator[None]:
    """Let an interruption say that `command` goes on; where one is within another, the outer says it.

    So does the loss of a connection to another worker.
    """
    try:
        yield
    except Interrupted as error:
        error.go_on = command
        raise
    except ConnectionError as error:
        raise ConnectionError(f"{error}; to go on, with any number of workers: {command}") from error


@contextlib.contextmanager
def handled(handler: Any, *numbers: int) -> Iterator[None]:
    """Within the context, let `handler` have these signals; only in the main thread, which alone may."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, other in before.items():
            signal.signal(number, other)


class Interruption:
    """A context in which a first SIGINT or SIGTERM is noted, and a second one raises `Interrupted`.

    Args:
        shared: whether several processes are to act on it together, see `distribution.StopTogether`.

    Attributes:
        noted: the number of the first signal to this process, None until it comes.
        received: that which is to be acted on: `noted`, or what the processes have agreed on.
    """

    def __init__(self, shared: bool = False) -> None:
        self.noted: int | None = None
        self.received: int | None = None
        self._shared = shared
        self._handled = handled(self._note, signal.SIGINT, signal.SIGTERM)

    def __enter__(self) -> Self:
        self._handled.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._handled.__exit__(None, None, None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.noted is not None:
            raise Interrupted(number)
        self.noted = number
        if not self._shared:
            self.received = number
        # Not through sys.stderr: the signal may have come while it is written to.
        os.write(2, b"stopping after this step; once more to stop at once\n")
