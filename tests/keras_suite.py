"""Keras' own tests, with `kerasmlp.fit` in the place of Keras' `fit`.

`python tests/keras_suite.py` runs the tests of the installed Keras, which its package has. It prints how
many of those that call `fit` pass with Keras' own `fit`, and how many of these pass with each loop. Each
test that passes with Keras' `fit` alone is a line, with a reason from `REASONS`. Without a reason the exit
status is 1. It is 2 if the installed Keras has no tests.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.table import Table

Part = Literal["callbacks", "trainer", "optimizers", "models"]
FOLDERS: dict[Part, str] = {
    "callbacks": "callbacks",
    "trainer": "trainers",
    "optimizers": "optimizers",
    "models": "models",
}
"""The folders of the parts, in `keras/src`."""
LOOPS = {"default": ("fit", "graph", "eager"), "program": ("fit", "graph")}
"""The loops of each setting. In `program`, models are compiled with XLA, two steps an execution."""
REASONS: dict[str, str] = {}
"""Why a test differs, where the cause is Keras' or intended: by a pattern of `loop test: error`."""
KERAS = Path(find_spec("keras").origin).parent / "src"
CONFIGURATION = """
[pytest]
python_files = *_test.py
filterwarnings = ignore
markers =
    requires_trainable_backend: a test that trains
    multi_device: a test of several devices
"""


def run(folder: Path, files: Iterable[str], processes: int, **suite) -> dict[str, dict]:
    """Run tests in a process of their own. Return for each: outcome, whether it called `fit`, error.

    Args:
        folder: for what the tests write.
        files: the files of the tests.
        processes: how many at a time.
        suite: `loop`, `program` and `only` of the plugin.
    """
    results = folder / "results.json"
    results.unlink(missing_ok=True)
    (folder / "pytest.ini").write_text(CONFIGURATION)
    (folder / "suite.json").write_text(json.dumps(suite | {"results": str(results)}))
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(folder / "pytest.ini")]
    command += ["--rootdir", str(KERAS), "-p", "keras_suite_plugin", "-p", "no:cacheprovider"]
    command += ["--continue-on-collection-errors"]
    command += ["-n", str(processes), *files]
    here, inherited = str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "KERAS_SUITE": str(folder / "suite.json"),
        "PYTHONPATH": os.pathsep.join(filter(None, (here, inherited))),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if not results.exists():
        raise RuntimeError(f"pytest wrote no results:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(results.read_text())


def part_of(test: str) -> Part:
    return next(part for part, folder in FOLDERS.items() if test.split("keras/src/")[1].startswith(folder))


def reason(difference: str) -> str | None:
    """Return why a test differs; None if no reason is known."""
    return next((why for pattern, why in REASONS.items() if re.search(pattern, difference)), None)


def main(
    parts: tuple[Part, ...] = tuple(FOLDERS),
    settings: tuple[Literal["default", "program"], ...] = tuple(LOOPS),
    only: str = "",
    processes: int = 2,
) -> int:
    """Run Keras' tests with each loop.

    Args:
        parts: whose tests to run.
        settings: `default`: models as the tests compile them. `program`: with XLA and two steps an
            execution, where a test leaves both as they are.
        only: part of the names of the tests to run.
        processes: how many tests run at a time.
    """
    files = [file for part in parts for file in sorted((KERAS / FOLDERS[part]).rglob("*_test.py"))]
    files = [str(file) for file in files if ".fit(" in file.read_text()]
    if not files:
        print("the installed Keras has no tests", file=sys.stderr)
        return 2
    console = Console(soft_wrap=True)
    table = Table("setting", "part", "tests that call fit", "pass with Keras", "fit", "graph", "eager")
    differences = []
    with tempfile.TemporaryDirectory() as folder:
        for setting in settings:
            suite = {"program": setting == "program"}
            keras = run(Path(folder), files, processes, loop=None, only=None, **suite)
            calling = {name: test for name, test in keras.items() if test.get("fit") and only in name}
            passed = [name for name, test in calling.items() if test["outcome"] == "passed"]
            failed = {}
            for loop in LOOPS[setting]:
                found = run(Path(folder), files, processes, loop=loop, only=passed, **suite)
                wrong = {name: found.get(name, {}) for name in passed}
                failed[loop] = {n: t for n, t in wrong.items() if t.get("outcome") != "passed"}
                differences += [
                    f"{setting} {loop} {name.split('keras/src/')[1]}: {test.get('error', 'it did not run')}"
                    for name, test in failed[loop].items()
                ]
            for part in parts:
                count = sum(part_of(name) == part for name in passed)
                counts = [
                    str(count - sum(part_of(name) == part for name in failed[loop]))
                    if loop in failed
                    else ""
                    for loop in ("fit", "graph", "eager")
                ]
                tests = sum(part_of(name) == part for name in calling)
                table.add_row(setting, part, str(tests), str(count), *counts)
    console.print(table)
    unknown = 0
    for difference in differences:
        why = reason(difference)
        unknown += why is None
        print(f"{difference:.300}\n    {why or 'UNKNOWN'}")
    print(f"{len(differences)} differences, {unknown} of them without a reason")
    return int(unknown > 0)


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
