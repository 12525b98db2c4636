"""Processes that train side by side, each with its share of the cores of this machine."""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress

from kerasmlp import kept_programs
from kerasmlp.callbacks import Interrupted, Interruption
from kerasmlp.processes import Process, RemoteError, Talk, wait

LINE, RESULT, ERROR = "line", "result", "error"
"""What a worker sends: a line that a call printed, the result of a call, or the error that it raised."""
LOOK_SECONDS = 0.1
"""How often is looked whether a signal has come."""
Call = Callable[[], Any]
Start = Callable[[], contextlib.AbstractContextManager[None]]


class Workers:
    """Processes that call functions side by side, each on its share of the cores.

    TensorFlow gets as many threads in each as in a process that has all cores, because the number of
    threads decides how sums are rounded. So results do not depend on the number of processes.

    Use it as a context: the processes are killed at its end. If this process is killed before, they get
    SIGTERM.

    Args:
        number: of processes, at least 1.
        start: returns a context for the first import of Keras in a process.
    """

    def __init__(self, number: int, start: Start) -> None:
        self._processes: list[Process] = []
        with contextlib.ExitStack() as stack:
            for cores in _shares(number):
                process = Process("kerasmlp.runs.workers:serve", cores, start)
                self._processes.append(stack.enter_context(process))
            self._ended = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.close()

    def run(self, calls: Mapping[str, Call]) -> dict[str, Any]:
        """Call the functions, and return what they return.

        What they print goes to standard error, each line after the name of its call. If one of them
        fails, the others get SIGTERM, and are waited for.

        Raises:
            Interrupted: SIGINT or SIGTERM came. The calls got SIGTERM; at a first signal, they were
                waited for.
            RemoteError: a process died, or a call raised an error that is none of the following.
            ValueError, OSError, FloatingPointError, MemoryError: a call raised it.
        """
        waiting, idle = iter(calls.items()), list(self._processes)
        busy: dict[Process, str] = {}
        results: dict[str, Any] = {}
        with _Progress(len(calls)) as progress, Interruption() as interruption:
            while len(results) < len(calls):
                for process, (name, call) in zip(tuple(idle), waiting, strict=False):
                    busy[process] = name
                    idle.remove(process)
                    process.send(call)
                for process, kind, value in _messages(busy):
                    if kind == LINE:
                        progress.show(f"{busy[process]}: {value}")
                        continue
                    name = busy.pop(process)
                    if kind == ERROR:
                        progress.show(f"{name}: failed")
                        _stop(busy, progress)
                        raise value
                    results[name] = value
                    progress.advance()
                    idle.append(process)
                if interruption.received is not None:
                    _stop(busy, progress)
                    raise Interrupted(interruption.received)
        return results


def _shares(number: int) -> list[list[int]]:
    """Return the cores of each of `number` processes. Where a process cannot be bound to cores: none."""
    if not hasattr(os, "sched_setaffinity"):
        return [[] for _ in range(number)]
    cores = sorted(os.sched_getaffinity(0))
    return [cores[index % len(cores) :: number] for index in range(number)]


def _messages(busy: Mapping[Process, str]) -> Iterator[tuple[Process, str, Any]]:
    """Yield the messages that have come, each with its process and its kind."""
    for process in wait(tuple(busy), LOOK_SECONDS):
        try:
            yield process, *process.receive(0)
        except RemoteError as error:
            yield process, ERROR, RemoteError(f"{busy[process]}: {error}")


def _stop(busy: dict[Process, str], progress: "_Progress") -> None:
    """Send the processes SIGTERM, and wait until they have ended. What they train is saved."""
    for process in busy:
        process.terminate()
    while busy:
        for process, kind, value in _messages(busy):
            if kind == LINE:
                progress.show(f"{busy[process]}: {value}")
            elif kind == ERROR:
                process.kill()
                del busy[process]


class _Progress:
    """Shows lines, and on a terminal a live bar of how many calls have ended, on standard error."""

    def __init__(self, calls: int) -> None:
        console = Console(stderr=True)
        columns = "{task.description}", BarColumn(), MofNCompleteColumn()
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("done", total=calls)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self) -> None:
        self._bar.advance(self._task)

    def show(self, line: str) -> None:
        if self._bar.disable:
            print(line, file=sys.stderr, flush=True)
        else:
            self._bar.console.print(line, highlight=False, markup=False)


def serve(talk: Talk, cores: list[int], start: Start) -> None:
    """Make the calls that `Workers` sends; the function of its processes."""
    if cores:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(len(os.sched_getaffinity(0))))
        os.sched_setaffinity(0, cores)  # the threads that TensorFlow starts will have it too
    with start():
        import keras  # noqa: F401
    lines = _Lines(talk)
    with contextlib.redirect_stdout(lines), contextlib.redirect_stderr(lines):
        while True:
            call = talk.receive()
            try:
                message = RESULT, call()
            except Interrupted as error:
                print(*error.args)  # without how to resume it alone
                message = ERROR, error
            except (ValueError, OSError, FloatingPointError, MemoryError) as error:
                message = ERROR, error
            kept_programs.seal()  # this process will be killed
            talk.send(message)


class _Lines(io.TextIOBase):
    """A text stream that sends its lines. Once nobody receives them, they are dropped."""

    def __init__(self, talk: Talk) -> None:
        self._talk, self._begun = talk, ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(None, lines):
            with contextlib.suppress(OSError):
                self._talk.send((LINE, line))
        return len(text)
