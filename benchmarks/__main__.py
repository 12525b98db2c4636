"""Measure this project beside what a user would pick instead, in one sitting; print tables, write JSON.

Each contender has a process of its own; they train an epoch each in turn, so that what else the machine
does meets all of them. Ratios are taken within a round, and their median over the rounds is given.
"""

import contextlib
import dataclasses
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from benchmarks import augmentations, clusters, commands, layouts, models, quantized, race, recipes
from benchmarks.contenders import CONTENDERS, WITH_CALLBACKS
from benchmarks.worker import TIME_LIMIT, Problem
from kerasmlp import cli, flags
from kerasmlp.processes import Process
from kerasmlp.runs import environment, run_folder

Part = Literal[
    "epochs",
    "callbacks",
    "commands",
    "stalls",
    "accuracy",
    "examples",
    "hidden",
    "quantization",
    "augmentation",
    "seeds",
    "times",
    "ablations",
    "cluster",
    "models",
    "layouts",
    "jobs",
]
PAUSE = 0.5  # seconds before each turn: threads of the one before may still spin, as OpenBLAS' do
FIT, FLOOR = "kerasmlp fit", "floor: two matrix products"
NEEDS = {"PyTorch": "torch", "JAX": "jax", "scikit-learn": "sklearn"}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Measure kerasmlp beside other frameworks, each in its own process, in turn; print tables.

    Args:
        data: MNIST, as kerasmlp.train takes it, but a file for the whole commands.
        parts: What to measure: seconds an epoch of all contenders; the cost of the callbacks; whole
            commands from the start of the process to the test accuracy; whether some of twenty such
            commands take much longer than the others; the time to an accuracy from
            the start of the process; epochs on more and fewer examples; with more and fewer units; what
            integers cost of the accuracy; an augmentation of all images; what the recipes reach, over
            several seeds; in how much time; what each part of the recipe accurate does; a step that
            several workers share; models of other kinds, with the program and without; what XLA would
            gain by a kernel that is stored transposed; ten seeds one by one, and two at a time.
        repeats: Rounds of a sitting, after one that warms up.
        sittings: How often all processes are started anew.
        output: The folder for a JSON file and a figure of each part.
    """

    data: str = "mnist"
    parts: tuple[Part, ...] = get_args(Part)
    repeats: int = 5
    sittings: int = 3
    output: Path = Path("benchmarks/results")


def rounds(
    rows: dict[str, tuple[str, Problem]],
    settings: Settings,
    seldom: Iterable[str] = (),
) -> dict[str, dict[str, Any]]:
    """Return the seconds of each epoch, and the peak memory, of contenders that train in turn.

    Several sittings, each with new processes, so that no row rests on what one process met.

    Args:
        rows: the contender and the problem of each, by the name of the row.
        settings: how many sittings and rounds.
        seldom: rows that are so slow that they have a turn in the first round only.
    """
    found: dict[str, dict[str, Any]] = {row: {"seconds": [], "peak_megabytes": 0} for row in rows}
    for sitting in range(settings.sittings):
        with contextlib.ExitStack() as stack:
            processes = {}
            for row, (contender, problem) in rows.items():
                if sitting and row in seldom:
                    continue
                print(f"sitting {sitting + 1}/{settings.sittings}: warming up {row}", file=sys.stderr)
                processes[row] = process = stack.enter_context(
                    Process("benchmarks.worker:serve", contender, problem)
                )
                process.send(False)
                found[row]["seconds_of_first_epoch"] = process.receive(TIME_LIMIT)[0]
            for number in range(settings.repeats):
                print(f"round {number + 1}/{settings.repeats}", file=sys.stderr)
                turn = list(processes.items())
                for row, process in turn[number:] + turn[:number]:  # each row first, in its turn
                    if number and row in seldom:
                        continue
                    time.sleep(PAUSE)
                    process.send(False)
                    seconds, _, megabytes = process.receive(TIME_LIMIT)
                    found[row]["seconds"].append(seconds)
                    found[row]["peak_megabytes"] = max(found[row]["peak_megabytes"], megabytes)
    return found


def median(row: dict[str, Any]) -> float:
    """Return the median of a row's seconds."""
    return statistics.median(row["seconds"])


def ratio(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return how many times as long as `one` `other` takes: the median over the rounds."""
    return statistics.median(b / a for a, b in zip(one["seconds"], other["seconds"], strict=False))


def installed(contender: str) -> bool:
    """Whether the framework of a contender is there; its absence is said."""
    package = next((needs for name, needs in NEEDS.items() if contender.startswith(name)), None)
    if package is None or importlib.util.find_spec(package):
        return True
    print(
        f"skipped: {contender}: {package} is not installed; pip install -e '.[peers]'", file=sys.stderr
    )
    return False


def epochs(settings: Settings) -> dict[str, Any]:
    """Measure an epoch of each contender."""
    names = [name for name in CONTENDERS if name not in WITH_CALLBACKS and installed(name)]
    problem = Problem(settings.data)
    return rounds({name: (name, problem) for name in names}, settings, ["handbook's loop"])


def callbacks(settings: Settings) -> dict[str, Any]:
    """Measure an epoch of fit without callbacks, with checkpoints, and with all that a run has."""
    problem = Problem(settings.data)
    rows = {name: (name, problem) for name in (FIT, *WITH_CALLBACKS)}
    return rounds(rows, settings)


def examples(settings: Settings) -> dict[str, Any]:
    """Measure epochs of fit on 6,000 to 6,000,000 random images, in memory and mapped from a file."""
    sizes = (6_000, 60_000, 600_000, 6_000_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images"
        with path.open("wb") as file:
            random = np.random.default_rng(0)
            for _ in range(100):
                file.write(random.bytes(sizes[-1] // 100 * 784))
        rows = {f"{size:,} in memory": (FIT, Problem(None, size)) for size in sizes}
        rows |= {f"{size:,} mapped": (FIT, Problem(None, size, mapped=path)) for size in sizes[1::2]}
        return rounds(rows, dataclasses.replace(settings, repeats=2, sittings=1))


def hidden(settings: Settings) -> dict[str, Any]:
    """Measure epochs on 6,000 images with 10 to 4,096 hidden units."""
    names = [name for name in (FIT, "PyTorch, fused Adam", "JAX, lax.scan") if installed(name)]
    return rounds(
        {
            f"{name}, {units:,} units": (name, Problem(settings.data, 6000, units))
            for units in (10, 100, 1024, 4096)
            for name in names
        },
        dataclasses.replace(settings, sittings=1),
    )


PARTS: dict[Part, Callable[[Settings], dict[str, Any]]] = {
    "epochs": epochs,
    "callbacks": callbacks,
    "commands": lambda settings: commands.measure(settings.data, settings.repeats),
    "stalls": lambda settings: commands.stalls(settings.data),
    "accuracy": lambda settings: race.measure(
        settings.data, [*filter(installed, (FIT, "PyTorch, fused Adam", "JAX, lax.scan"))]
    ),
    "examples": examples,
    "hidden": hidden,
    "quantization": lambda settings: quantized.measure(settings.data),
    "augmentation": lambda settings: augmentations.measure(settings.data, settings.repeats),
    "seeds": lambda settings: recipes.reach(settings.data),
    "times": lambda settings: recipes.measure(settings.data, recipes.TIMES),
    "ablations": lambda settings: recipes.measure(settings.data, recipes.ABLATIONS),
    "cluster": lambda settings: clusters.measure(settings.repeats),
    "models": lambda settings: models.measure(settings.repeats),
    "layouts": lambda settings: layouts.measure(settings.repeats),
    "jobs": lambda settings: commands.jobs(settings.data, settings.repeats),
}
CELLS: dict[str, Callable[[dict[str, Any], dict[str, Any]], dict[str, str]]] = {
    "stalls": lambda row, rows: commands.stall_cells(row),
    "accuracy": lambda row, rows: race.cells(row),
    "quantization": lambda row, rows: quantized.cells(row),
    "seeds": lambda row, rows: recipes.reached_cells(row),
    "times": recipes.cells,
    "ablations": recipes.cells,
    "cluster": clusters.cells,
    "models": models.cells,
}
"""What the table tells of a row, beside the others: of parts that measure more than seconds, and have no
figure."""
BASE = {
    "epochs": FIT,
    "callbacks": FIT,
    "augmentation": "affine and elastic",
    "commands": "python -m kerasmlp.train",
    "examples": "60,000 in memory",
    "layouts": layouts.AS_KERAS,
    "jobs": commands.ONE_BY_ONE,
}
"""The row that the others are told as multiples of."""


def markdown(part: str, rows: dict[str, Any]) -> str:
    """Return what was found as a table, to be printed, and pasted into the README."""
    base = rows.get(BASE.get(part, ""))
    lines: list[str] = []
    for name, row in rows.items():
        if part in CELLS:
            cells = CELLS[part](row, rows)
        else:
            seconds = row["seconds"]
            values = {"median s": median(row), "least": min(seconds), "most": max(seconds)}
            cells = {key: _number(value, 3) for key, value in values.items()}
            cells |= {"x": _number(ratio(base, row), 2)} if base else {}
            cells |= {"peak MB": _number(row["peak_megabytes"], 0)} if "peak_megabytes" in row else {}
        if not lines:
            lines = [_line("", *cells), _line("---", *("---:" for _ in cells))]
        lines.append(_line(name, *cells.values()))
    return "\n".join(lines)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def figure(rows: dict[str, Any], path: Path) -> None:
    """Draw the medians as bars with their values, the least and the most, ours in another colour."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    drawn = Figure(figsize=(9, 1.5 + 0.3 * len(rows)), layout="constrained")
    axes = drawn.add_subplot()
    for place, (name, row) in enumerate(rows.items()):
        middle, seconds = median(row), row["seconds"]
        spread = [[middle - min(seconds)], [max(seconds) - middle]]
        axes.barh(name, middle, xerr=spread, color="C0" if "kerasmlp" in name else "0.8")
        within = axes.get_yaxis_transform()  # at the left, where no line of the spread is
        axes.text(0.01, place, f"{middle:.3g} s", transform=within, va="center", fontsize=8)
    axes.set(xlabel="seconds, logarithmic: median, least, most", xscale="log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100])
    values = [value for row in rows.values() for value in row["seconds"]]
    axes.set_xlim(min(values) / 2, max(values) * 1.2)
    axes.invert_yaxis()
    drawn.savefig(path, dpi=100)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""

    def command() -> None:
        settings = flags.parse(Settings, "benchmarks", argv)
        if not Path(settings.data).exists() and {"commands", "stalls"} & {*settings.parts}:
            raise ValueError(
                f"--data: expected an .npz file for the whole commands; received {settings.data!r}"
            )
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        settings.output.mkdir(parents=True, exist_ok=True)
        for part in settings.parts:
            rows = PARTS[part](settings)
            run_folder.write_json(settings.output / f"{part}.json", {"rows": rows, **environment()})
            if part not in CELLS:
                figure(rows, settings.output / f"{part}.png")
            print(markdown(part, rows))
            if part == "cluster":
                print(clusters.told(rows))

    return cli.run(command)


if __name__ == "__main__":
    sys.exit(main())
