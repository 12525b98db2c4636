"""Run a training as several workers on this machine, with TF_CONFIG set."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from kerasmlp import cli, distribute, flags
from kerasmlp.runs import SettingError, at_least, check


@dataclasses.dataclass(frozen=True)
class Settings:
    """Start kerasmlp.train as the workers of one cluster on this machine.

    Each worker gets the environment variable TF_CONFIG, and --strategy multiworker unless a strategy is
    given. What the chief, worker 0, prints is printed; of the others what they print to standard error,
    with their number. Ctrl-C and SIGTERM go to all of them. The exit status is that of the chief, or of
    the first other worker that failed.

    Args:
        command: The command and its flags, after --, as in: -- train --loop graph.
        workers: Number of processes to start.
        patience: Seconds that the other workers are given to end once one has failed.
    """

    command: Annotated[tuple[str, ...], tyro.conf.Positional]
    workers: Annotated[int, at_least(1)] = 2
    patience: Annotated[float, at_least(0)] = 30.0

    def __post_init__(self) -> None:
        check(self)
        if not self.command:
            raise ValueError("expected a command after --, as in: -- train --loop graph")
        if self.command[0] != "train":
            expected = "train, the one command that workers can share"
            raise SettingError("command", expected, self.command[0])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    status = 0

    def command() -> None:
        nonlocal status
        settings = flags.parse(Settings, "kerasmlp.launch", argv)
        module, *given = settings.command
        if "--strategy" not in given:
            given += ["--strategy", "multiworker"]
        program = [sys.executable, "-m", f"kerasmlp.{module}", *given]
        status = distribute.run_workers(program, settings.workers, settings.patience)

    return cli.run(command) or status


if __name__ == "__main__":
    sys.exit(main())
