"""Run a command as several workers on this machine, with TF_CONFIG set."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import IO, Annotated

import tyro

from kerasmlp import cli
from kerasmlp.cluster import free_addresses, tf_config
from kerasmlp.config import expect
from kerasmlp.interruption import handled


@dataclasses.dataclass(frozen=True)
class Settings:
    """Start a command of this project as the workers of one cluster on this machine.

    Each worker gets the variable TF_CONFIG, and --strategy multiworker unless it is given. What the
    chief, worker 0, prints is printed; of the others what they print to standard error, with their
    number. Ctrl-C and SIGTERM go to all of them. The exit status is the chief's, or that of the first
    other worker that failed.

    Args:
        command: The command and its flags, after --, as in: -- train --loop graph.
        workers: How many processes to start.
        patience: Seconds that the others are given to end by themselves once one has failed.
    """

    command: Annotated[tuple[str, ...], tyro.conf.Positional]
    workers: int = 2
    patience: float = 30.0

    def __post_init__(self) -> None:
        expect(self, self.workers >= 1, "workers", "at least 1")
        expect(self, self.patience >= 0, "patience", "a number of seconds, at least 0")
        if not self.command:
            raise ValueError("expected a command after --, as in: -- train --loop graph")
        if self.command[0] != "train":
            raise ValueError(
                f"expected train, the one command that workers can share; received {self.command[0]!r}"
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    status = 0

    def command() -> None:
        nonlocal status
        settings = cli.parse(Settings, "kerasmlp.launch", argv)
        status = launch(settings)

    return cli.run(command) or status


def launch(settings: Settings) -> int:
    """Run the workers to their end; return the exit status of the cluster.

    Raises:
        OSError: no process can be started.
    """
    module, *flags = settings.command
    flags = [*flags] if "--strategy" in flags else [*flags, "--strategy", "multiworker"]
    command = [sys.executable, "-m", f"kerasmlp.{module}", *flags]
    addresses = free_addresses(settings.workers)
    workers: list[subprocess.Popen[bytes]] = []

    def forward(number: int, frame: FrameType | None) -> None:
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(number)

    with _killed_at_the_end(workers), handled(forward, signal.SIGINT, signal.SIGTERM):
        for index in range(settings.workers):
            workers.append(
                subprocess.Popen(
                    command,
                    env={**os.environ, "TF_CONFIG": tf_config(addresses, index)},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL if index else None,
                    stderr=subprocess.PIPE if index else None,
                    start_new_session=True,  # Ctrl-C comes to this process alone, which sends it on
                )
            )
        printers = [
            threading.Thread(target=_print, args=(index, worker.stderr), daemon=True)
            for index, worker in enumerate(workers)
            if worker.stderr is not None
        ]
        for printer in printers:
            printer.start()
        failed = _wait(workers, settings.patience)
        for printer in printers:
            printer.join()
    if failed is None:
        return 0
    status = workers[0].returncode or workers[failed].returncode
    return 128 - status if status < 0 else status


def _wait(workers: Sequence["subprocess.Popen[bytes]"], patience: float) -> int | None:
    """Wait for the end of all workers; return the number of the first that failed, None if none did.

    Once one has failed, the others are killed that go on for longer than `patience`.
    """
    failed, failed_at = None, 0.0
    while True:
        statuses = [worker.poll() for worker in workers]
        if failed is None and any(statuses):
            failed = next(index for index, status in enumerate(statuses) if status)
            failed_at = time.monotonic()
            if workers[failed].returncode < 0:
                _say_how(failed, workers[failed])
        if None not in statuses:
            return failed
        if failed is not None and time.monotonic() - failed_at > patience:
            for index, worker in enumerate(workers):
                if worker.poll() is None:
                    print(f"worker {index}: killed, since it did not end", file=sys.stderr)
                    worker.kill()
                    worker.wait()
        time.sleep(0.05)


def _say_how(index: int, worker: "subprocess.Popen[bytes]") -> None:
    name = signal.Signals(-worker.returncode).name
    print(f"worker {index}: its process was killed by {name}", file=sys.stderr)


def _print(index: int, lines: IO[bytes]) -> None:
    """Print what a worker writes to standard error, with its number."""
    for line in lines:
        text = line.decode(errors="replace").rstrip()
        print(text if text.startswith("worker ") else f"worker {index}: {text}", file=sys.stderr)


@contextlib.contextmanager
def _killed_at_the_end(workers: Sequence["subprocess.Popen[bytes]"]) -> Iterator[None]:
    """Leave no worker behind."""
    try:
        yield
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()


if __name__ == "__main__":
    sys.exit(main())
