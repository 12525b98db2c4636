"""The time to a test accuracy, from the start of the process, over several seeds, in turn."""

import statistics
import sys
import time
from typing import Any

from benchmarks.commands import trained
from benchmarks.worker import TIME_LIMIT, Problem
from kerasmlp.processes import Process

GOALS = (0.97, 0.98)
MOST = 60
"""Epochs after which a goal counts as not reached."""
TRAIN = "python -m kerasmlp.train"
COMMANDS = {f"{TRAIN} --recipe quick --epochs 3": GOALS[:1], f"{TRAIN} --recipe quick": GOALS[1:]}
"""Whole commands, and the goals that they are for. They write a run folder, which has the accuracy."""


def measure(data: str, contenders: list[str], seeds: int = 7) -> dict[str, Any]:
    """Return for each contender and command, and each goal, the seconds of each seed.

    A contender is evaluated after each epoch, a command at its end. None for a goal that is missed.
    """
    found: dict[str, Any] = {row: {} for row in (*COMMANDS, *contenders)}
    for seed in range(seeds):
        for row in found:
            print(f"seed {seed}: {row}", file=sys.stderr)
            run = _command if row in COMMANDS else _contender
            for goal, seconds in run(row, data, seed).items():
                found[row].setdefault(f"{goal:.0%}", []).append(seconds)
    return found


def _command(command: str, data: str, seed: int) -> dict[float, float | None]:
    seconds, metrics = trained(data, seed, command.removeprefix(TRAIN))
    return {goal: seconds if metrics["test_accuracy"] >= goal else None for goal in COMMANDS[command]}


def _contender(name: str, data: str, seed: int) -> dict[float, float | None]:
    found: dict[float, float | None] = dict.fromkeys(GOALS)
    begin = time.perf_counter()
    with Process("benchmarks.worker:serve", name, Problem(data, seed=seed)) as process:
        for _ in range(MOST):
            process.send(True)
            reached = process.receive(TIME_LIMIT)[1]
            for goal in GOALS:
                if reached >= goal and found[goal] is None:
                    found[goal] = time.perf_counter() - begin
            if found[GOALS[-1]] is not None:
                break
    return found


def cells(row: dict[str, Any]) -> dict[str, str]:
    """Return what the table tells of a row: median, least and most of the seeds that reached a goal."""
    told = {}
    for goal in GOALS:
        name = f"{goal:.0%}"
        seconds = [value for value in row.get(name, ()) if value is not None]
        missed = len(row.get(name, ())) - len(seconds)
        text = "-"
        if seconds:
            text = f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
        told[f"seconds to {goal:.0%}"] = text + (f", {missed} missed" if missed else "")
    return told
