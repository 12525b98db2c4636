"""A function is imported by its name and runs in another process: messages, result, errors."""

import inspect
import json
import linecache
import os
import re
import signal
import time

import pytest

from helpers import python
from kerasmlp.comparison.process import Process, RemoteError, dumps, import_by_name, loads


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
        ("fails", 60, r"^ValueError: on two lines \(\w+\.py, line \d+\)$"),
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


def test_a_loop_of_a_script_keeps_its_source(tmp_path):
    """AutoGraph needs it, to convert the loop over a dataset within a `tf.function`."""
    script = tmp_path / "script.py"
    script.write_text(
        """
import tensorflow as tf
from kerasmlp.comparison.process import Process

@tf.function
def total(dataset):
    result = tf.constant(0, tf.int64)
    for number in dataset:
        result += number
    return result

def work(dataset_size):
    return int(total(tf.data.Dataset.range(dataset_size).repeat().take(dataset_size)))

with Process("script_runner:call", work, 100) as process:
    print(process.receive(60))
"""
    )
    (tmp_path / "script_runner.py").write_text("def call(talk, function, *args): return function(*args)")
    done = python(script, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.stdout == "4950\n", done.stderr


def test_a_function_without_a_file_is_sent_with_its_source():
    """As a function of a notebook's cell, whose source only the kernel knows."""
    source = "def add(one, other):\n    return one + other\n"
    name = "<cell 7>"
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    scope = {"__name__": "__main__"}
    exec(compile(source, name, "exec"), scope)
    content = dumps(scope["add"])
    del linecache.cache[name]
    received = loads(content)
    assert received(1, 2) == 3
    assert inspect.getsource(received) == source
