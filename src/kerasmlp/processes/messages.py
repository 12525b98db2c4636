"""Messages from a process to another, through a pipe."""

import collections
import io
import linecache
import marshal
import os
import pickle
import threading
import types
from collections.abc import Callable
from typing import Any

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


arrived = threading.Condition()
"""Held where messages come in or are taken, and notified when one has come."""
LENGTH = 8
"""The number of bytes that tell the length of a message, before it."""


class Inbox:
    """The messages that come through a pipe. A thread reads them: Windows cannot wait for a pipe.

    Args:
        descriptor: of the pipe. It is closed when the other end is.
        at_end: called when the other end of the pipe has been closed.
    """

    def __init__(self, descriptor: int, at_end: Callable[[], None] = lambda: None) -> None:
        self._messages: collections.deque[bytes] = collections.deque()
        self._is_over = False
        threading.Thread(target=self._read, args=(descriptor, at_end), daemon=True).start()

    def _read(self, descriptor: int, at_end: Callable[[], None]) -> None:
        with open(descriptor, "rb") as pipe:
            while not self._is_over:
                length = int.from_bytes(pipe.read(LENGTH), "big")
                message = pipe.read(length)
                with arrived:
                    if length and len(message) == length:
                        self._messages.append(message)
                    else:
                        self._is_over = True
                    arrived.notify_all()
        at_end()

    def is_ready(self) -> bool:
        """Return whether there is a message, or none will come any more."""
        return bool(self._messages) or self._is_over

    def receive(self, seconds: float | None = None) -> Any:
        """Return the next message.

        Raises:
            TimeoutError: none came within `seconds`.
            EOFError: none will come any more.
        """
        with arrived:
            if not arrived.wait_for(self.is_ready, seconds):
                raise TimeoutError
            if not self._messages:
                raise EOFError
            message = self._messages.popleft()
        return loads(message)


def send(descriptor: int, content: bytes) -> None:
    """Send what `dumps` has made of a value through a pipe."""
    for part in (len(content).to_bytes(LENGTH, "big"), content):
        left = memoryview(part)
        while left:
            left = left[os.write(descriptor, left) :]
