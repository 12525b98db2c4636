"""Runs that are killed again and again, and held against runs that were not.

`python tests/kills.py --kills 200` kills as often, spread over the loops and how they are compiled, and
prints what came of it; the tests do a few.
"""

import concurrent.futures
import dataclasses
import functools
import itertools
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tyro

import fit_models
from helpers import finished
from kerasmlp.checkpoints import atomic
from kerasmlp.runs import run_folder

MODES = {
    "fit": "--loop fit --no-jit-compile --steps-per-execution 1",
    "fit@7": "--loop fit --no-jit-compile --steps-per-execution 7",
    "fit+jit": "--loop fit --jit-compile --steps-per-execution 1",
    "fit+jit@7": "--loop fit --jit-compile --steps-per-execution 7",
    "graph": "--loop graph --no-jit-compile --steps-per-execution 1",
    "graph@7": "--loop graph --no-jit-compile --steps-per-execution 7",
    "graph+jit": "--loop graph --jit-compile --steps-per-execution 1",
    "graph+jit@7": "--loop graph --jit-compile --steps-per-execution 7",
    "eager": "--loop eager",
    "accurate": "--recipe accurate --steps-per-execution 7",
}
PROGRAM = {"jit_compile": True, "steps_per_execution": 3}
FIT_MODES = {
    f"{model} {mode}": {"name": model, **options}
    for model in fit_models.MODELS
    for mode, options in {
        "fit": {"loop": "fit"},
        "graph": {"loop": "graph"},
        "eager": {"loop": "eager"},
        "fit+jit@3": {"loop": "fit", "compilation": PROGRAM},
        "graph+jit@3": {"loop": "graph", "compilation": PROGRAM},
    }.items()
}
"""Models of other kinds, trained by `kerasmlp.fit`."""
EVERY = ("1step", "5steps", "1epoch")
TIME_LIMIT = 120.0

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["fit_models", "kerasmlp.train", "kerasmlp.runs.fitting"])


def write_data(path: Path) -> None:
    """Write 230 small images: without 20 held out, 13 full batches of 16 and a partial one."""
    numbers = np.random.default_rng(7)
    labels = numbers.integers(3, size=230).astype(np.uint8)
    images = numbers.integers(0, 200, size=(230, 6, 6, 1)).astype(np.uint8)
    images[np.arange(230), labels] += 50
    np.savez(path, x_train=images, y_train=labels, x_test=images[:50], y_test=labels[:50])


def _command(argv: list[str]) -> int:
    from kerasmlp.train import main

    return main(argv)


def _fit(**arguments) -> int:
    fit_models.train(**arguments)
    return 0


def _child(train, log: str, fatal_flush: int | None) -> None:
    """Call `train`, its output in a file; die at that flush of a file or folder to the disk."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if fatal_flush is not None:
        flush, flushes = os.fsync, itertools.count()

        def fsync(number: int) -> None:
            if next(flushes) == fatal_flush:
                os.kill(os.getpid(), signal.SIGKILL)
            flush(number)

        os.fsync = fsync
    sys.exit(train())


@dataclasses.dataclass
class Runs:
    """Runs of one mode in a folder.

    Attributes:
        mode: of `MODES` or `FIT_MODES`.
        folder: for the data, the run folders and the output.
        epochs: of each run.
    """

    mode: str
    folder: Path
    epochs: int = 6

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data.npz"
        if not self.data.exists():
            write_data(self.data)

    def start(self, name: str, every: str = "1epoch", fatal_flush: int | None = None):
        """Start a run, or go on with it, in a process of its own."""
        if self.mode in FIT_MODES:
            arguments = FIT_MODES[self.mode] | {"checkpoint_every": every, "epochs": self.epochs}
            train = functools.partial(_fit, run=self.folder / name, **arguments)
        else:
            train = functools.partial(_command, self._argv(name, every))
        process = _context.Process(
            target=_child, args=(train, str(self.folder / f"{name}.log"), fatal_flush)
        )
        process.start()
        return process

    def _argv(self, name: str, every: str) -> list[str]:
        argv = ["--logdir", str(self.folder), "--name", name, "--checkpoint-every", every]
        if (self.folder / name / run_folder.SETTINGS).exists():
            argv.append("--resume")
        else:
            argv += ["--data", str(self.data), "--epochs", str(self.epochs)]
            argv += ["--batch-size", "16", "--validation-size", "20"]
            argv += MODES[self.mode].split()
        return argv

    def finish(self, name: str) -> None:
        """Run to the end."""
        process = self.start(name)
        process.join(TIME_LIMIT)
        assert process.exitcode == 0, (self.folder / f"{name}.log").read_text()

    def result(self, name: str):
        """What has to be the same at the end of two runs."""
        run = self.folder / name
        return finished(run), fit_models.written(run) if self.mode in FIT_MODES else {}

    def wait_for_training(self, name: str, process) -> None:
        """Return when the run has called its callbacks for the first time, or ended."""
        history = self.folder / name / run_folder.HISTORY
        began = history.stat().st_mtime_ns if history.exists() else 0
        limit = time.monotonic() + TIME_LIMIT
        while process.is_alive() and not (history.exists() and history.stat().st_mtime_ns > began):
            assert time.monotonic() < limit, "the training does not begin"
            time.sleep(0.001)


def kill(runs: Runs, name: str, numbers: random.Random, seconds: float) -> tuple[int, int]:
    """Kill a run until it comes to its end; return how often, and how often while a file was written."""
    kills = while_writing = 0
    while True:
        every = numbers.choice(EVERY)
        fatal = numbers.randrange(60) if numbers.random() < 0.3 else None
        process = runs.start(name, every, fatal)
        if fatal is None:
            runs.wait_for_training(name, process)
            process.join(numbers.uniform(0, seconds))
            process.kill()
        process.join(TIME_LIMIT)
        if process.exitcode == 0:
            return kills, while_writing
        assert process.exitcode == -signal.SIGKILL, (runs.folder / f"{name}.log").read_text()
        kills += 1
        while_writing += any((runs.folder / name).rglob(f"{atomic.PART}*"))


def killed_as_often(mode: str, goal: int, folder: Path, seed: int) -> int:
    """Kill runs of a mode at least so often; hold each against one that was not; say what came of it."""
    runs, numbers = Runs(mode, folder), random.Random(f"{mode} {seed}")
    begin = time.monotonic()
    runs.finish("whole")
    seconds = min(3.0, time.monotonic() - begin)
    expected = runs.result("whole")
    done = kills = writing = 0
    while kills < goal:
        name = f"killed{done}"
        often, while_writing = kill(runs, name, numbers, seconds)
        assert runs.result(name) == expected, f"{mode}: {name} is not what it was to be"
        done, kills, writing = done + 1, kills + often, writing + while_writing
    print(
        f"{mode}: {done} runs killed {kills} times, {writing} of them while a file was written;"
        " each ended bit for bit as the run that was not killed",
        flush=True,
    )
    return kills


def main(kills: int = 200, seed: int = 0, only: str = "") -> None:
    """Kill runs of all modes, two at a time, and hold each against one that was not killed.

    Args:
        kills: How often at least, over all modes.
        seed: What the moments follow from.
        only: Only modes whose name has this in it, such as `cnn` or `graph`.
    """
    modes = [mode for mode in (*MODES, *FIT_MODES) if only in mode]
    goal = -(-kills // len(modes))
    with tempfile.TemporaryDirectory() as temporary, concurrent.futures.ThreadPoolExecutor(2) as pool:
        total = pool.map(lambda mode: killed_as_often(mode, goal, Path(temporary) / mode, seed), modes)
        print(f"{sum(total)} kills in all")


if __name__ == "__main__":
    tyro.cli(main)
