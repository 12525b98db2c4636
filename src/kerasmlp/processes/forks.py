"""Processes that have imported TensorFlow when they start: a server imports it once, and forks."""

import contextlib
import gc
import importlib
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Sequence
from typing import Self

from kerasmlp.processes import process
from kerasmlp.processes.process import Launched, NewPythons, Starter


def starter(*modules: str) -> Starter:
    """Return what starts processes that need `modules`: a `ForkServer`, if the system can fork."""
    return ForkServer(*modules) if hasattr(os, "fork") else NewPythons()


class ForkServer:
    """A `Starter`: each process is a fork of one that has imported `modules`. POSIX only.

    Use it as a context: the processes are killed at its end, and also if this process is killed. The
    server only imports. It calls nothing of TensorFlow, which does not work on after a fork.
    """

    def __init__(self, *modules: str) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        self._lock = threading.Lock()
        self._ready = False
        self._socket, other = socket.socketpair()
        with other:
            program = f"from kerasmlp.processes.forks import serve; serve({modules})"
            output = self._output.fileno()
            self._server = process.launch_python(program, other.fileno(), output, output)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        if not self._ready:  # it imports, and would end only then
            self._server.kill()
        self._server.wait()
        self._output.close()

    def wait_until_ready(self) -> None:
        """Wait until the modules are imported. Call it before `launch`."""
        self._answer()
        self._ready = True

    def launch(self, stdin: int, stdout: int, stderr: int) -> Launched:
        """Start a process, as `Process` asks. If the server has died, raise a `ConnectionError`."""
        with self._lock:
            socket.send_fds(self._socket, [b"launch"], [stdin, stdout, stderr])
            return _Forked(self, self._answer())

    def wait(self, number: int) -> int:
        with self._lock:
            self._socket.send(str(number).encode())
            return self._answer()

    def _answer(self) -> int:
        answer = self._socket.recv(16)
        if not answer:
            raise ConnectionError(
                f"the process that starts the rows ended{process.last_line(self._output)}"
            )
        return int(answer)


class _Forked:
    """A process that a server started. It keeps its number until the server has waited for its end."""

    def __init__(self, server: ForkServer, number: int) -> None:
        self._server, self._number = server, number
        self._status: int | None = None
        self._lock = threading.Lock()

    def kill(self) -> None:
        if self._status is None:  # another thread may be waiting: `wait` then returns
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it has just ended
                os.killpg(self._number, signal.SIGKILL)

    def wait(self) -> int:
        with self._lock:
            if self._status is None:
                self._status = self._server.wait(self._number)
            return self._status


def serve(modules: Sequence[str]) -> None:
    """Import modules, and fork whenever `ForkServer` asks; the program of the server.

    The requests come through a socket that is its standard input.
    """
    with socket.socket(fileno=os.dup(0)) as requests:
        gc.disable()  # the imports make very many objects and no garbage
        for module in modules:
            with contextlib.suppress(Exception):  # the row that needs it says so
                importlib.import_module(module)
        gc.freeze()  # no process looks at them again, and so copies their pages
        gc.enable()
        process.libraries_before_fork = process.in_status("RssFile")
        os.setsid()  # Ctrl-C and a terminal that closes end the other side, which ends this process
        is_forked = _fork_on_request(requests)
    if not is_forked:
        os._exit(0)  # it has nothing to clean up, and an exit of TensorFlow takes up to a second
    process.serve()


def _fork_on_request(requests: socket.socket) -> bool:
    """Answer requests until the other side has ended.

    Return True in each process that is forked, and False in the server.
    """
    running: set[int] = set()

    def answer(number: int) -> None:
        requests.send(str(number).encode())

    try:
        answer(0)
        while True:
            request, descriptors, _, _ = socket.recv_fds(requests, 16, 3)
            if descriptors:
                number = os.fork()
                for stream, descriptor in enumerate(descriptors):
                    if number == 0:
                        os.dup2(descriptor, stream)
                    os.close(descriptor)
                if number == 0:
                    running.clear()  # they are not of this process
                    return True
                running.add(number)
                os.setpgid(number, number)  # it is killed with the processes that it starts
                answer(number)
            elif request:
                number = int(request)
                _, status = os.waitpid(number, 0)
                running.remove(number)
                answer(os.waitstatus_to_exitcode(status))
            else:
                return False
    except ConnectionError:
        return False  # the other side has ended
    finally:
        for number in running:
            os.killpg(number, signal.SIGKILL)
