"""Whole commands, from the start of the process to its end, timed in turn."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RUNS = 20
"""How often each command is timed to see whether one of its runs waits for something."""
ROUND = "{round}"
"""Stands for the number of the round in an argument."""
ONE_BY_ONE = "kerasmlp.seeds --seeds 10"
THREADS = "TF_NUM_INTRAOP_THREADS"
IMPORT = "from kerasmlp import cli\nwith cli.quiet_start(verbose=False): import keras"


def measure(data: str, repeats: int) -> dict[str, Any]:
    """Time programs that train 5 epochs; and the import of Keras, as they import it."""
    with tempfile.TemporaryDirectory() as logs:
        train = ["-m", "kerasmlp.train", "--data", data, "--logdir", logs]
        train += ["--validation-size", "0"]  # as the other programs: all 60,000 images, no validation
        programs = {
            "python -m kerasmlp.train": train,
            "python -m kerasmlp.train --loop graph": [*train, "--loop", "graph"],
            "import keras, as the commands do": ["-c", IMPORT],
            "import keras": ["-c", "import keras"],
            "plain Keras script": ["-m", "benchmarks.programs.plain_keras", data],
            "handbook's program": ["-m", "benchmarks.programs.handbook", data],
        }
        return _timed(programs, repeats, seldom=("handbook's program",))


def stalls(data: str) -> dict[str, Any]:
    """Time short commands of each kind `RUNS` times."""
    with tempfile.TemporaryDirectory() as logs:
        train = ["-m", "kerasmlp.train", "--logdir", logs, "--epochs", "2"]
        few = ["--logdir", logs, "--data", "mnist5k"]
        run = [*train, "--data", data, "--name", "run"]
        subprocess.run([sys.executable, *run], capture_output=True, check=True)
        programs = {
            f"train --epochs 2 --loop {loop}{note}": [*train, "--data", data, "--loop", loop, *flags]
            for loop in ("fit", "graph")
            for note, flags in {"": (), ", no validation": ("--validation-size", "0")}.items()
        }
        programs |= {
            "train --epochs 2 --loop eager --data mnist5k": [*train, *few[2:], "--loop", "eager"],
            "evaluate": ["-m", "kerasmlp.evaluate", f"{logs}/run"],
            "seeds --seeds 2 --data mnist5k": ["-m", "kerasmlp.seeds", "--seeds", "2", *few],
            "compare --loops fit graph --data mnist5k": [
                *("-m", "kerasmlp.compare", "--loops", "fit", "graph", "--data", "mnist5k"),
                *("--output", f"{logs}/compared-{ROUND}"),
            ],
            "kerasmlp.fit": ["-m", "benchmarks.programs.own_model"],
        }
        return _timed(programs, RUNS)


def jobs(data: str, repeats: int) -> dict[str, Any]:
    """Time ten seeds one after the other, and two at a time; these also with one thread each."""
    with tempfile.TemporaryDirectory() as logs:
        seeds = ["-m", "kerasmlp.seeds", "--seeds", "10", "--data", data, "--logdir", logs]
        two = f"{ONE_BY_ONE} --jobs 2"
        of_one_thread = f"{two}, {THREADS}=1"
        programs = {
            ONE_BY_ONE: [*seeds, "--name", f"one-{ROUND}"],
            two: [*seeds, "--jobs", "2", "--name", f"two-{ROUND}"],
            of_one_thread: [*seeds, "--jobs", "2", "--name", f"threads-{ROUND}"],
        }
        return _timed(programs, repeats, variables={of_one_thread: {THREADS: "1"}})


def stall_cells(row: dict[str, Any]) -> dict[str, str]:
    """Return what the table tells of twenty runs of a command.

    A slow run that waited took no more processor time than the others; one that took more was slowed by
    what else the machine did.
    """
    seconds, busy = row["seconds"], row["processor_seconds"]
    median, slowest = statistics.median(seconds), max(seconds)
    share = busy[seconds.index(slowest)] / statistics.median(busy)
    return {
        "median s": f"{median:.2f}",
        "slowest": f"{slowest:.2f}",
        "of the median": f"{slowest / median:.2f}",
        "its processor time, of the median": f"{share:.2f}",
    }


def trained(data: str, seed: int, flags: str) -> tuple[float, dict[str, Any]]:
    """Return the seconds of a `kerasmlp.train` with those flags, and the metrics of its run."""
    with tempfile.TemporaryDirectory() as logs:
        command = [sys.executable, "-m", "kerasmlp.train", "--data", data, "--seed", str(seed)]
        command += ["--logdir", logs, "--name", "run", *flags.split()]
        begin = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        seconds = time.perf_counter() - begin
        return seconds, json.loads(Path(logs, "run", "metrics.json").read_bytes())


def _timed(
    programs: dict[str, list[str]],
    repeats: int,
    seldom: Sequence[str] = (),
    variables: Mapping[str, dict[str, str]] | None = None,
) -> dict[str, Any]:
    """Return the seconds of whole programs, in turn, and those of the processor, of all their threads.

    Args:
        programs: the arguments of Python, by the name of the row.
        repeats: rounds.
        seldom: rows that run in the first round only.
        variables: of the environment, beside those of this process, by the name of the row.
    """
    found: dict[str, Any] = {name: {"seconds": [], "processor_seconds": []} for name in programs}
    for number in range(repeats):
        for name, arguments in programs.items():
            if number and name in seldom:
                continue
            print(f"round {number + 1}/{repeats}: {name}", file=sys.stderr)
            given = [argument.replace(ROUND, str(number)) for argument in arguments]
            begin, busy = time.perf_counter(), _processor_seconds()
            environment = os.environ | (variables or {}).get(name, {})
            subprocess.run([sys.executable, *given], capture_output=True, check=True, env=environment)
            found[name]["seconds"].append(time.perf_counter() - begin)
            found[name]["processor_seconds"].append(_processor_seconds() - busy)
    return found


def _processor_seconds() -> float:
    """Return the processor time of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
