"""What the tests of processes run in them. It imports no TensorFlow, which takes seconds."""

import os
import signal
import subprocess
import sys
import time

from kerasmlp.processes import peak_megabytes


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


def sleeps_with_another(talk):
    talk.send((os.getpid(), subprocess.Popen(["sleep", "1000"]).pid))
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
