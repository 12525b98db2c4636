"""Functions that run in a new Python process, and the messages between the two processes."""

import contextlib
import functools
import os
import pkgutil
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, Self

from kerasmlp.processes import messages


class RemoteError(Exception):
    """The function raised an error, its process died, or it sent nothing for too long."""


class Launched(Protocol):
    """A process that was started."""

    def kill(self) -> None:
        """Kill it, unless it is known to have ended."""

    def wait(self) -> int:
        """Wait for its end, and return its exit status; minus the signal, if one ended it."""


Launch = Callable[[int, int, int], Launched]
"""Starts a process that calls `serve`. It gets these descriptors as its standard streams."""


class Starter(Protocol):
    """Starts processes for `Process`, within its context."""

    @property
    def launch(self) -> Launch: ...

    def wait_until_ready(self) -> None:
        """Call it before `launch`."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


OWN_GROUP: dict[str, Any] = (
    {"start_new_session": True}
    if hasattr(os, "setsid")
    else {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
)
"""Arguments of `Popen` for a process that hears no Ctrl-C, here and on Windows."""


def launch_python(
    program: str, stdin: int, stdout: int, stderr: int, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a program in a new Python process with these standard streams, and options of `Popen`."""
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path),
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # several processes share the device
        },
        **options,
    )


def _launch(stdin: int, stdout: int, stderr: int) -> Launched:
    program = "from kerasmlp.processes.process import serve; serve()"
    return launch_python(program, stdin, stdout, stderr, **OWN_GROUP)


class NewPythons:
    """A `Starter`: each process is a new Python, which imports for itself what it needs."""

    launch = staticmethod(_launch)

    def wait_until_ready(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Process:
    """Runs a function in a new Python process, and exchanges messages with it through two pipes.

    Use it as a context: the process is killed at its end. If this process is killed, it gets SIGTERM.
    It hears no Ctrl-C. The new process has the same `sys.path`. It does not run the script again, so a
    script needs no `if __name__ == "__main__"`. What the function prints is not shown; if the process
    dies, the last line is part of the error message.

    Args:
        function: the name of the function, `package.module:name`. It is called with a `Talk` and `args`.
            The value that it returns is its last message to this process.
        args: arguments of the function. They are sent with cloudpickle, so they may contain closures.
        launch: starts the process. By default a new Python process.
    """

    def __init__(self, function: str, *args: Any, launch: Launch = _launch) -> None:
        first = messages.dumps((function, args))
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        theirs, self._outgoing = os.pipe()
        incoming, outgoing = os.pipe()
        self._inbox = messages.Inbox(incoming)
        try:
            self._process = launch(theirs, outgoing, self._output.fileno())
        except BaseException:
            self._close()
            raise
        finally:
            os.close(theirs)
            os.close(outgoing)
        with contextlib.suppress(OSError):  # it has died: `receive` says how
            messages.send(self._outgoing, first)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._close()

    def _close(self) -> None:
        self.terminate()
        self._output.close()

    def is_ready(self) -> bool:
        """Return whether there is a message, or the process has ended."""
        return self._inbox.is_ready()

    def terminate(self) -> None:
        """Let the process get SIGTERM. Its messages are still received; it gets none any more."""
        if self._outgoing >= 0:
            os.close(self._outgoing)
            self._outgoing = -1

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def send(self, value: Any) -> None:
        """Send `value` to the function. If its process has died, raise a `RemoteError`."""
        content = messages.dumps(value)
        try:
            messages.send(self._outgoing, content)
        except OSError:
            raise RemoteError(self._how_it_died()) from None

    def receive(self, seconds: float) -> Any:
        """Return the next message of the function. The last one is the value that it returns.

        Without a message within `seconds`, and if the function fails, raise a `RemoteError`.
        """
        try:
            failed, value = self._inbox.receive(seconds)
        except TimeoutError:
            why = f"no message for {seconds:g} s (--time-limit); the process was stopped"
            raise RemoteError(why) from None
        except EOFError:
            raise RemoteError(self._how_it_died()) from None
        if failed:
            raise RemoteError(value)
        return value

    def _how_it_died(self) -> str:
        status = self._process.wait()
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"its process {how}{last_line(self._output)}"


def wait(processes: Sequence[Process], seconds: float) -> list[Process]:
    """Wait until one of the processes has a message or has ended. Return those that have."""
    with messages.arrived:
        return messages.arrived.wait_for(
            lambda: [process for process in processes if process.is_ready()], seconds
        )


def last_line(output: IO[bytes]) -> str:
    """Return `: ` and the last line that a process printed to `output`, if any."""
    output.seek(0)
    lines = output.read().decode(errors="replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""


class Talk:
    """The connection of a function to the process that started it."""

    def __init__(self, inbox: messages.Inbox, outgoing: int) -> None:
        self._inbox, self._outgoing = inbox, outgoing
        self._lock = threading.Lock()

    def send(self, value: Any) -> None:
        self._send(False, value)

    def _send(self, failed: bool, value: Any) -> None:
        content = messages.dumps((failed, value))
        with self._lock:
            messages.send(self._outgoing, content)

    def receive(self) -> Any:
        """Wait for the next message, and return it."""
        return self._inbox.receive()


def serve() -> None:
    """Run the function of a `Process`; the start of the new process.

    The pipes come as its standard input and output. What prints gets standard error instead.
    """
    inbox = messages.Inbox(os.dup(0), at_end=functools.partial(_end, threading.get_ident()))
    talk = Talk(inbox, os.dup(1))
    os.dup2(2, 1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    try:
        function, args = talk.receive()
        talk.send(pkgutil.resolve_name(function)(talk, *args))
    except (EOFError, BrokenPipeError):
        return  # the other process has ended
    except Exception as error:
        message = re.sub(r"\x1b\[\d*m", "", " ".join(str(error).split()))
        talk._send(True, f"{type(error).__name__}: {message}"[:2000] + _place(error))


def _end(thread: int) -> None:
    """Send SIGTERM to a thread. Python calls its handler in the main thread when nothing blocks that."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread, signal.SIGTERM)
    else:  # on Windows
        signal.raise_signal(signal.SIGTERM)


def _place(error: Exception) -> str:
    """Return where in the code of the user an error was raised, if it was."""
    installed = tuple(sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib"))
    here = str(Path(__file__).parents[1])
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*installed, here, "<"))
    ]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


libraries_before_fork = 0.0
"""What of the libraries was in memory when this process was forked, in MiB."""
_STATUS = Path("/proc/self/status")


def in_status(name: str) -> float:
    """Return a size in the status of this process, in MiB. 0 if the system shows none."""
    if not _STATUS.exists():
        return 0.0
    return int(_STATUS.read_bytes().partition(f"{name}:".encode())[2].split()[0]) / 2**10


def peak_megabytes() -> float:
    """Return the peak memory of this process, in MiB. 0 on Windows, where Python does not tell it.

    A forked process starts without the pages of libraries that the import read. They are counted as if
    it had imported the libraries itself.
    """
    if _STATUS.exists():  # getrusage would include the peak of the process that started this one
        return in_status("VmHWM") + max(0.0, libraries_before_fork - in_status("RssFile"))
    try:
        import resource  # here, because Windows has none
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
