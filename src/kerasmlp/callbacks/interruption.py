"""What Ctrl-C and SIGTERM do while a model is trained: the step is finished, then the run is saved."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self


class Interrupted(KeyboardInterrupt):
    """The training was interrupted by the signal `number`.

    `status` is the exit status of the process: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, number: int, message: str = "interrupted", resume_command: str = "") -> None:
        super().__init__(message)
        self.resume_command = resume_command
        self.status = 128 + number

    def __reduce__(self) -> tuple[Any, ...]:  # so that it can be sent to another process
        return type(self), (self.status - 128, self.args[0], self.resume_command)

    def _render_traceback_(self) -> list[str]:
        """Return what IPython, and so a notebook, shows instead of where the training was."""
        return [str(self)]

    def __str__(self) -> str:
        resume = f"; to resume: {self.resume_command}" if self.resume_command else ""
        return super().__str__() + resume


@contextlib.contextmanager
def resumable_by(command: str) -> Iterator[None]:
    """Let an interruption, or the loss of a worker, name the command that resumes the run.

    Of two such contexts, one within the other, the outer one names its command.
    """
    try:
        yield
    except Interrupted as error:
        error.resume_command = command
        raise
    except ConnectionError as error:
        raise ConnectionError(f"{error}; to resume, with any number of workers: {command}") from error


@contextlib.contextmanager
def handled(handler: Any, *numbers: int) -> Iterator[None]:
    """Within the context, let `handler` handle these signals. Outside the main thread: nothing."""
    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in numbers:
                stack.callback(signal.signal, number, signal.signal(number, handler))
        yield


class Interruption:
    """A context that notes a first SIGINT or SIGTERM, and raises `Interrupted` at a SIGINT after it.

    A SIGTERM after it changes nothing: Slurm sends two within milliseconds when a job's time is over,
    and who wants an end at once has SIGKILL.

    `noted` is the number of the first signal to this process, or None. `received` is the signal to act
    on: `noted`, or if `shared` what several processes agreed on, see `distribute.StopTogether`.
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
            if number == signal.SIGINT:
                raise Interrupted(number)
            return
        self.noted = number
        if not self._shared:
            self.received = number
        # Not through sys.stderr: the signal may come while something else is written to it.
        os.write(2, b"stopping after this step; press Ctrl-C again to stop at once\n")
