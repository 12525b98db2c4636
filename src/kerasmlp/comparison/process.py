"""A function in a Python process of its own, and what the two processes send each other."""

import os
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Self

import cloudpickle

from kerasmlp.comparison.names import imported


class RemoteError(Exception):
    """The function raised, its process died, or it was silent for too long."""


class Process:
    """Runs a function, which gets a `Talk` with this side and `args`, in a Python of its own.

    A context, at whose end the process is killed. It imports what this process can (its `sys.path`), and
    runs no script anew, so a script needs no `if __name__ == "__main__"`. What it prints is kept for the
    message of its death. POSIX only.

    Args:
        function: its `package.module:name`. What it returns is sent back last.
        args: for it; sent by cloudpickle, so they may be or hold closures.
    """

    def __init__(self, function: str, *args: Any) -> None:
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115
        self._talk, other = Pipe()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"from kerasmlp.comparison.process import _serve; _serve({other.fileno()})",
            ],
            pass_fds=[other.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._printed,
            stderr=self._printed,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path or str(os.curdir) for path in sys.path),
                "KERAS_BACKEND": "tensorflow",
                "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
                "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # several processes share the device
            },
        )
        other.close()
        self._talk.send_bytes(cloudpickle.dumps((function, args)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._talk.close()
        self._printed.close()

    def kill(self) -> None:
        """Stop it at once."""
        self._process.kill()
        self._process.wait()

    def send(self, value: Any) -> None:
        """Send `value` to the function.

        Raises:
            RemoteError: its process has died.
        """
        try:
            self._talk.send_bytes(cloudpickle.dumps(value))
        except OSError:
            raise RemoteError(self._death()) from None

    def receive(self, seconds: float) -> Any:
        """Return what the function sends next, or at its end what it returns.

        Raises:
            RemoteError: it raised; its process died; or nothing came for `seconds`.
        """
        try:
            if not self._talk.poll(seconds):
                raise RemoteError(f"no sign of life for {seconds:g} s (--time-limit); it was stopped")
            failed, value = self._talk.recv()
        except (EOFError, ConnectionError):
            raise RemoteError(self._death()) from None
        if failed:
            raise RemoteError(value)
        return value

    def _death(self) -> str:
        status = self._process.wait()
        self._printed.seek(0)
        lines = self._printed.read().decode(errors="replace").strip().splitlines()
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"its process {how}" + (f": {lines[-1]}" if lines else "")


class Talk:
    """The function's side of a `Process`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, value: Any) -> None:
        """Send `value` to the side that started the process."""
        self._connection.send((False, value))

    def receive(self) -> Any:
        """Return what the other side sends next."""
        return cloudpickle.loads(self._connection.recv_bytes())


def _serve(descriptor: int) -> None:
    connection = Connection(descriptor)
    try:
        function, args = cloudpickle.loads(connection.recv_bytes())
        connection.send((False, imported(function)(Talk(connection), *args)))
    except (EOFError, BrokenPipeError):
        return  # the other side is gone
    except Exception as error:
        message = " ".join(str(error).split())
        connection.send((True, f"{type(error).__name__}: {message}"[:2000]))


def peak_megabytes() -> float:
    """Return the most memory that this process has had."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would begin with what the process that started this one had
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
