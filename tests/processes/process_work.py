"""What the tests of processes run in them. It imports no TensorFlow, which takes seconds."""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

from kerasmlp import kept_programs
from kerasmlp.callbacks import Interrupted, Interruption
from kerasmlp.processes import peak_megabytes
from kerasmlp.runs import SettingError


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


def exits(talk):
    print("over", flush=True)
    sys.exit(3)


def exits_slowly(talk):
    atexit.register(time.sleep, 0.2)
    sys.exit(3)


def sleeps_with_another(talk):
    talk.send((os.getpid(), subprocess.Popen(["sleep", "1000"]).pid))
    time.sleep(1000)


def sleeps_with_a_handler(talk):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    talk.send(os.getpid())
    time.sleep(1000)


def has_imported(talk, module):
    """Whether it was imported before this call, and what an earlier process left in the environment."""
    found = module in sys.modules, os.environ.get("LEFT_BEHIND")
    os.environ["LEFT_BEHIND"] = "yes"
    return found


def uses_numpy(talk):
    import numpy as np

    np.ones(2**22).sum()  # 32 MiB
    return peak_megabytes()


def calls(talk, function, *arguments):
    return function(*arguments)


@contextlib.contextmanager
def without_keras():
    """What a process imports as Keras within this context is an empty module."""
    sys.modules["keras"] = types.ModuleType("keras")
    yield


@contextlib.contextmanager
def that_keeps_programs(cache):
    """The same in a process that keeps its programs, as a command does, in `cache`."""
    del os.environ[kept_programs.FLAGS]
    os.environ["XDG_CACHE_HOME"] = str(cache)
    kept_programs.keep()
    with without_keras():
        yield


def compiles():
    """Leave what XLA leaves, where it is told to."""
    folder = os.environ[kept_programs.FLAGS].partition("=")[2].partition(" ")[0]
    Path(folder, "one.pb").write_bytes(b"a program")


def cores():
    return sorted(os.sched_getaffinity(0)), os.environ["TF_NUM_INTRAOP_THREADS"]


def says(text):
    print(text)
    return 2 * text


def waits_for_a_signal(began, saved):
    with Interruption() as interruption:
        began.touch()
        while interruption.received is None:
            time.sleep(0.01)
        saved.touch()
        raise Interrupted(interruption.received, "interrupted after step 3", "this call alone")


def fails_once_there_is(path):
    while not path.exists():
        time.sleep(0.01)
    raise SettingError("epochs", "at least 3", 2)


def dies():
    os.kill(os.getpid(), signal.SIGKILL)


def trains_long(settings, folder, seed):
    """In the place of a run of `kerasmlp.seeds`: has a checkpoint at once, and waits for a signal.

    Then it takes its time, so that a second signal comes before it has ended.
    """
    saved = folder / f"seed{seed}/checkpoints"
    saved.mkdir(parents=True)
    with Interruption() as interruption:
        (saved / "step-0").touch()
        while interruption.received is None:
            time.sleep(0.01)
        time.sleep(0.5)
        raise Interrupted(interruption.received)


def diverges(settings, folder, seed):
    """In the place of such a run."""
    raise FloatingPointError("the loss is nan at step 2")
