"""A function is imported by its name and runs in another process: messages, result, errors."""

import json
import os
import re
import signal
import time

import pytest

from kerasmlp.comparison.process import Process, RemoteError, import_by_name


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


def test_a_function_exchanges_messages_and_returns():
    with Process(f"{__name__}:doubles", 2) as process:
        for number in (3, 4):
            process.send(number)
            assert process.receive(60) == 2 * number
        assert process.receive(60) == "done"


@pytest.mark.parametrize(
    ("function", "seconds", "message"),
    [
        ("fails", 60, r"^ValueError: on two lines$"),
        ("prints_and_dies", 60, r"^its process was killed by signal 9: last words$"),
        ("sleeps", 2, r"^no message for 2 s"),
        ("none", 60, r"the module \S*test_process has no 'none'"),
    ],
)
def test_an_error_message_says_what_happened(function, seconds, message):
    with Process(f"{__name__}:{function}") as process, pytest.raises(RemoteError, match=message):
        process.receive(seconds)


def test_a_name_gives_its_object():
    assert import_by_name("json:loads") is json.loads


@pytest.mark.parametrize("name", ["json", "json:", ":loads", "json:no", "no.such:thing"])
def test_a_wrong_name_is_an_error(name):
    with pytest.raises(ValueError, match=re.escape(name)):
        import_by_name(name)
