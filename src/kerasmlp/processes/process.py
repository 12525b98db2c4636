"""Functions that run in a new Python process, and the messages between the two processes."""

import io
import linecache
import marshal
import os
import pickle
import pkgutil
import re
import select
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import traceback
import types
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import IO, Any, Protocol, Self

import cloudpickle


class _Pickler(cloudpickle.Pickler):
    """Pickles functions of scripts and notebooks with the names of their files.

    cloudpickle drops them. But AutoGraph needs the source of a function to convert its loops: without
    it, `for x, y in dataset` in a `tf.function` unrolls without end.
    """

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.sources: dict[str, list[str]] = {}

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, types.CodeType):
            return super().reducer_override(value)
        self.sources[value.co_filename] = linecache.getlines(value.co_filename)
        return marshal.loads, (marshal.dumps(value),)


def dumps(value: Any) -> bytes:
    """Return `value` as bytes for `loads` in another process of this Python."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(value)
    pickle.dump(pickler.sources, file)
    return file.getvalue()


def loads(content: bytes) -> Any:
    """Return the value that `dumps` was given, and make the sources of its functions known."""
    file = io.BytesIO(content)
    value = pickle.load(file)
    for name, lines in pickle.load(file).items():
        linecache.cache[name] = len("".join(lines)), None, lines, name
    return value


class RemoteError(Exception):
    """The function raised an error, its process died, or it sent nothing for too long."""


class Launched(Protocol):
    """A process that was started."""

    def terminate(self) -> None:
        """Send it SIGTERM, unless it is known to have ended."""

    def kill(self) -> None:
        """Kill it, unless it is known to have ended."""

    def wait(self) -> int:
        """Wait for its end, and return its exit status; minus the signal, if one ended it."""


def launch_python(
    program: str, descriptor: int, output: int, own_session: bool = False
) -> subprocess.Popen[bytes]:
    """Start a program in a new Python process, which has `descriptor` open and prints to `output`.

    In a session of its own, it hears no Ctrl-C.
    """
    return subprocess.Popen(
        [sys.executable, "-c", program],
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=own_session,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path),
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # several processes share the device
        },
    )


def _launch(descriptor: int, output: int) -> Launched:
    program = f"from kerasmlp.processes.process import serve; serve({descriptor})"
    return launch_python(program, descriptor, output, own_session=True)


class Process:
    """Runs a function in a new Python process. POSIX only.

    Use it as a context: the process is killed at its end. If this process is killed, it gets SIGTERM.
    It hears no Ctrl-C. The new process has the same `sys.path`. It does not run the script again, so a
    script needs no `if __name__ == "__main__"`. What the function prints is not shown; if the process
    dies, the last line is part of the error message.

    Args:
        function: the name of the function, `package.module:name`. It is called with a `Talk` and `args`.
            The value that it returns is its last message to this process.
        args: arguments of the function. They are sent with cloudpickle, so they may contain closures.
        launch: starts the process, which has to call `serve`, with the descriptors of its connection and
            of the file that it prints to. By default a new Python process.
    """

    def __init__(
        self, function: str, *args: Any, launch: Callable[[int, int], Launched] = _launch
    ) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        self._connection, other = Pipe()
        try:
            self._process = launch(other.fileno(), self._output.fileno())
        except ConnectionError:
            self._close()
            raise
        finally:
            other.close()
        self._connection.send_bytes(dumps((function, args)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._close()

    def _close(self) -> None:
        self._connection.close()
        self._output.close()

    def fileno(self) -> int:
        """Return the descriptor that can be read when there is a message, or the process has ended."""
        return self._connection.fileno()

    def terminate(self) -> None:
        """Send SIGTERM to the process."""
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def send(self, value: Any) -> None:
        """Send `value` to the function. If its process has died, raise a `RemoteError`."""
        try:
            self._connection.send_bytes(dumps(value))
        except OSError:
            raise RemoteError(self._how_it_died()) from None

    def receive(self, seconds: float) -> Any:
        """Return the next message of the function. The last one is the value that it returns.

        Without a message within `seconds`, and if the function fails, raise a `RemoteError`.
        """
        try:
            if not self._connection.poll(seconds):
                why = f"no message for {seconds:g} s (--time-limit); the process was stopped"
                raise RemoteError(why)
            failed, value = self._connection.recv()
        except (EOFError, ConnectionError):
            raise RemoteError(self._how_it_died()) from None
        if failed:
            raise RemoteError(value)
        return value

    def _how_it_died(self) -> str:
        status = self._process.wait()
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"its process {how}{last_line(self._output)}"


def last_line(output: IO[bytes]) -> str:
    """Return `: ` and the last line that a process printed to `output`, if any."""
    output.seek(0)
    lines = output.read().decode(errors="replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""


class Talk:
    """The connection of a function to the process that started it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, value: Any) -> None:
        with self._lock:
            self._connection.send((False, value))

    def receive(self) -> Any:
        """Wait for the next message, and return it."""
        return loads(self._connection.recv_bytes())


def serve(descriptor: int) -> None:
    """Run the function of a `Process`; the start of the new process."""
    connection = Connection(descriptor)
    copy = os.dup(descriptor)  # `connection` may be closed before the thread looks
    threading.Thread(target=_end_with_the_other, args=(copy,), daemon=True).start()
    try:
        function, args = loads(connection.recv_bytes())
        connection.send((False, pkgutil.resolve_name(function)(Talk(connection), *args)))
    except (EOFError, BrokenPipeError):
        return  # the other process has ended
    except Exception as error:
        message = re.sub(r"\x1b\[\d*m", "", " ".join(str(error).split()))
        connection.send((True, f"{type(error).__name__}: {message}"[:2000] + _place(error)))


def _end_with_the_other(descriptor: int) -> None:
    """Wait until the process at the other end of a connection has ended; send SIGTERM to this one."""
    closed = select.poll()
    closed.register(descriptor, 0)  # no event but that it is closed
    closed.poll()
    os.kill(os.getpid(), signal.SIGTERM)


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
    return int(_STATUS.read_text().partition(f"{name}:")[2].split()[0]) / 2**10


def peak_megabytes() -> float:
    """Return the peak memory of this process, in MiB.

    A forked process starts without the pages of libraries that the import read. They are counted as if
    it had imported the libraries itself.
    """
    if _STATUS.exists():  # getrusage would include the peak of the process that started this one
        return in_status("VmHWM") + max(0.0, libraries_before_fork - in_status("RssFile"))
    import resource  # here, because Windows has none

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
