"""A function is imported by its name and runs in another process: messages, result, errors."""

import inspect
import json
import linecache
import os
import resource
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import process_work
from helpers import python, without_posix
from kerasmlp.processes import peak_megabytes
from kerasmlp.processes.forks import ForkServer
from kerasmlp.processes.messages import dumps, loads
from kerasmlp.processes.process import Process, RemoteError, _place

WORK = "process_work"


def ends(number):
    """Whether the process ends within 10 s. What init has not yet waited for has ended."""
    for _ in range(100):
        status = Path(f"/proc/{number}/stat")
        if not status.exists() or ") Z " in status.read_text():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def forks():
    with ForkServer("no.such.module", "numpy") as server:
        server.wait_until_ready()
        yield server


@pytest.fixture(params=["new", "fork"])
def options(request):
    """Arguments of `Process`, for both ways to start one."""
    return {} if request.param == "new" else {"launch": request.getfixturevalue("forks").launch}


def test_a_function_exchanges_messages_and_returns(options):
    with Process(f"{WORK}:doubles", 2, **options) as process:
        for number in (3, 4):
            process.send(number)
            assert process.receive(60) == 2 * number
        assert process.receive(60) == "done"


@pytest.mark.parametrize(
    ("function", "seconds", "message"),
    [
        ("fails", 60, r"^ValueError: on two lines \(\w+\.py, line \d+\)$"),
        ("prints_and_dies", 60, r"^its process was killed by signal 9: last words$"),
        ("exits", 60, r"^its process ended with status 3: over$"),
        ("sleeps", 0.5, r"^no message for 0.5 s"),
        ("none", 60, r"AttributeError: module 'process_work' has no attribute 'none'"),
    ],
)
def test_an_error_message_says_what_happened(function, seconds, message, options):
    with (
        Process(f"{WORK}:{function}", **options) as process,
        pytest.raises(RemoteError, match=message),
    ):
        process.receive(seconds)


def test_the_place_of_an_error_is_the_last_one_in_the_users_code():
    first = inspect.getsourcelines(process_work.fails)[1]
    with pytest.raises(ValueError) as raised:
        process_work.fails(None)
    assert _place(raised.value) == f" (process_work.py, line {first + 1})"
    with pytest.raises(json.JSONDecodeError) as raised:
        json.loads("[")
    assert _place(raised.value).startswith(" (test_process.py, line ")


def test_a_process_that_takes_long_to_end_has_the_status_that_it_ends_with(options):
    with (
        Process(f"{WORK}:exits_slowly", **options) as process,
        pytest.raises(RemoteError, match="ended with status 3"),
    ):
        process.receive(60)


def test_a_process_can_be_terminated(options):
    with Process(f"{WORK}:sleeps", **options) as process:
        process.terminate()
        with pytest.raises(RemoteError, match=r"^its process was killed by signal 15"):
            process.receive(60)


def test_a_handler_of_sigterm_is_called_while_the_process_waits(options):
    with Process(f"{WORK}:sleeps_with_a_handler", **options) as process:
        process.receive(60)
        process.terminate()
        with pytest.raises(RemoteError, match="ended with status 3"):
            process.receive(60)


def test_a_forked_process_has_the_imports_of_the_server_and_an_environment_of_its_own(forks):
    for _ in range(2):
        with Process(f"{WORK}:has_imported", "numpy", launch=forks.launch) as process:
            assert process.receive(60) == (True, None)


def test_the_peak_memory_of_a_forked_process_is_that_of_a_new_one(forks):
    peaks = []
    for options in ({}, {"launch": forks.launch}):
        with Process(f"{WORK}:uses_numpy", **options) as process:
            peaks.append(process.receive(60))
    assert peaks[1] == pytest.approx(peaks[0], rel=0.1)


def test_without_proc_the_peak_memory_is_that_of_getrusage(monkeypatch, tmp_path):
    monkeypatch.setattr("kerasmlp.processes.process._STATUS", tmp_path / "none")
    bytes_of_a_unit = 1 if sys.platform == "darwin" else 1024
    expected = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * bytes_of_a_unit / 2**20
    assert peak_megabytes() == pytest.approx(expected, rel=0.01)


def test_processes_that_have_ended_leave_no_file_open(options):
    def files():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = files()
    for _ in range(3):
        with Process(f"{WORK}:doubles", 0, **options) as process:
            assert process.receive(60) == "done"
    assert files() < before + 3  # another thread of this process may open one


def test_a_forked_process_is_killed_with_what_it_started(forks):
    with Process(f"{WORK}:sleeps_with_another", launch=forks.launch) as process:
        numbers = process.receive(60)
    assert all(map(ends, numbers))


def test_forked_processes_end_when_the_process_that_wants_them_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        """
import os, signal
from kerasmlp.processes.forks import ForkServer
from kerasmlp.processes.process import Process

with ForkServer() as server:
    server.wait_until_ready()
    with Process("process_work:sleeps_with_another", launch=server.launch) as process:
        print(*process.receive(60), server._server.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    done = python(script, cwd=tmp_path, PYTHONPATH=os.pathsep.join(sys.path))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert all(map(ends, map(int, done.stdout.split())))


def test_a_new_process_ends_when_the_process_that_wants_it_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        """
import os, signal
from kerasmlp.processes import Process

with Process("process_work:sleeps_with_another") as process:
    print(process.receive(60)[0], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    done = python(script, cwd=tmp_path, PYTHONPATH=os.pathsep.join(sys.path))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert ends(int(done.stdout))


def test_a_server_that_has_died_is_a_lost_connection():
    with ForkServer() as server:
        server.wait_until_ready()
        server._server.kill()
        with pytest.raises(ConnectionError):
            Process(f"{WORK}:doubles", 0, launch=server.launch)


def test_where_no_process_can_fork_a_new_python_does_the_same():
    program = """
import os, sys
from kerasmlp.processes import Process, RemoteError, starter

with starter("numpy") as processes:
    processes.wait_until_ready()
    with Process("process_work:doubles", 1, launch=processes.launch) as process:
        process.send(4)
        print(process.receive(60), process.receive(60))
    with Process("process_work:sleeps", launch=processes.launch) as process:
        process.terminate()
        try:
            process.receive(60)
        except RemoteError as error:
            print(error)
print(hasattr(os, "fork"), "numpy" in sys.modules)
"""
    done = python("-c", program, **without_posix())
    assert done.stdout == "8 done\nits process was killed by signal 15\nFalse False\n", done.stderr


@pytest.mark.thorough
def test_a_loop_of_a_script_keeps_its_source(tmp_path):
    """AutoGraph needs it, to convert the loop over a dataset within a `tf.function`."""
    script = tmp_path / "script.py"
    script.write_text(
        """
import tensorflow as tf

@tf.function
def total(dataset):
    result = tf.constant(0, tf.int64)
    for number in dataset:
        result += number
    return result

def work(dataset_size):
    return int(total(tf.data.Dataset.range(dataset_size).repeat().take(dataset_size)))
"""
    )
    work = runpy.run_path(str(script), run_name="__main__")["work"]
    with Process(f"{WORK}:calls", work, 100) as process:
        assert process.receive(60) == 4950


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


@pytest.mark.thorough
def test_what_is_imported_before_a_fork_uses_no_tensorflow():
    """TensorFlow does not work on in a process that was forked after it has been used."""
    program = """
import gc
gc.disable()  # the imports make no garbage, and so take a second less
import kerasmlp.comparison.trajectory, kerasmlp.comparison.timing, kerasmlp.comparison.runs
import tensorflow as tf
tf.config.threading.set_inter_op_parallelism_threads(1)  # an error once TensorFlow has been used
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
