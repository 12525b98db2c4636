"""A cluster on this machine: a command run as several workers, each with `TF_CONFIG` set."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import IO

from kerasmlp.callbacks import handled
from kerasmlp.distribute.cluster import free_addresses, tf_config

SENDS_SIGNALS = hasattr(os, "setsid")
"""Whether Ctrl-C comes to this process alone, which sends it on. On Windows it comes to all workers."""


def run_workers(command: Sequence[str], number: int, patience: float) -> int:
    """Run `command` as several workers of one cluster. Return the exit status of the cluster.

    What the chief prints is printed; of the other workers only what they print to standard error, with
    their number. Signals are sent on to all of them.

    Args:
        command: the program and its arguments.
        number: of workers.
        patience: seconds that the others are given to end by themselves once one has failed.

    Raises:
        OSError: no process can be started.
    """
    workers: list[subprocess.Popen[bytes]] = []

    def forward(signal_number: int, frame: FrameType | None) -> None:
        for worker in workers if SENDS_SIGNALS else ():
            worker.send_signal(signal_number)

    addresses = free_addresses(number)
    with _killed_at_the_end(workers), handled(forward, signal.SIGINT, signal.SIGTERM):
        for index in range(number):
            workers.append(_start(command, tf_config(addresses, index), is_chief=index == 0))
        printers = [
            threading.Thread(target=_print, args=(index, worker.stderr), daemon=True)
            for index, worker in enumerate(workers)
            if worker.stderr is not None
        ]
        for printer in printers:
            printer.start()
        failed = _wait(workers, patience)
        for printer in printers:
            printer.join()
    if failed is None:
        return 0
    status = workers[0].returncode or workers[failed].returncode
    return 128 - status if status < 0 else status


def _start(command: Sequence[str], cluster: str, is_chief: bool) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        env={**os.environ, "TF_CONFIG": cluster},
        stdin=subprocess.DEVNULL,
        stdout=None if is_chief else subprocess.DEVNULL,
        stderr=None if is_chief else subprocess.PIPE,
        start_new_session=SENDS_SIGNALS,
    )


def _wait(workers: Sequence["subprocess.Popen[bytes]"], patience: float) -> int | None:
    """Wait until all workers have ended. Return the number of the first that failed, or None.

    Once one has failed, the others get `patience` seconds to end. Then they are killed.
    """
    failed, deadline = None, math.inf
    while True:
        statuses = [worker.poll() for worker in workers]
        if failed is None and any(statuses):
            failed = next(index for index, status in enumerate(statuses) if status)
            deadline = time.monotonic() + patience
            if workers[failed].returncode < 0:
                _say_how(failed, workers[failed])
        if None not in statuses:
            return failed
        if time.monotonic() > deadline:
            for index, worker in enumerate(workers):
                if worker.poll() is None:
                    print(f"worker {index}: killed, because it did not end", file=sys.stderr)
                    worker.kill()
                    worker.wait()
        time.sleep(0.05)


def _say_how(index: int, worker: "subprocess.Popen[bytes]") -> None:
    name = signal.Signals(-worker.returncode).name
    print(f"worker {index}: its process was killed by {name}", file=sys.stderr)


def _print(index: int, lines: IO[bytes]) -> None:
    """Print what a worker writes to standard error, with its number before each line."""
    with lines:
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            print(text if text.startswith("worker ") else f"worker {index}: {text}", file=sys.stderr)


@contextlib.contextmanager
def _killed_at_the_end(workers: Sequence["subprocess.Popen[bytes]"]) -> Iterator[None]:
    """Kill the workers that are left when the context ends."""
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
