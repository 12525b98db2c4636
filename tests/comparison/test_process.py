"""A function in a process of its own: what it says, raises and returns, and how it dies."""

import os
import re
import signal
import time

import pytest

from kerasmlp.comparison.names import imported
from kerasmlp.comparison.process import Process, RemoteError


def doubles(talk, times):
    for _ in range(times):
        talk.send(2 * talk.receive())
    return "done"


def fails(talk):
    raise ValueError("on two\nlines")


def prints_and_dies(talk):
    print("last words", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def sleeps(talk):
    time.sleep(1000)


def test_it_talks_and_returns():
    with Process("test_remote:doubles", 2) as process:
        for number in (3, 4):
            process.send(number)
            assert process.receive(60) == 2 * number
        assert process.receive(60) == "done"


@pytest.mark.parametrize(
    ("function", "seconds", "message"),
    [
        ("fails", 60, r"^ValueError: on two lines$"),
        ("prints_and_dies", 60, r"^its process was killed by signal 9: last words$"),
        ("sleeps", 2, r"^no sign of life for 2 s"),
        ("none", 60, r"the module test_remote has no 'none'"),
    ],
)
def test_how_it_ends_is_told(function, seconds, message):
    with Process(f"test_remote:{function}") as process, pytest.raises(RemoteError, match=message):
        process.receive(seconds)


@pytest.mark.parametrize("name", ["json", "json:", ":loads", "json:no", "no.such:thing"])
def test_what_is_not_there_is_an_error(name):
    with pytest.raises(ValueError, match=re.escape(name)):
        imported(name)
