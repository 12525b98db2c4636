"""Keras' own tests, with `kerasmlp.fit` in the place of Keras' `fit`.

`python tests/keras_suite.py` runs the tests of the installed Keras, which its package has. It prints how
many of those that call `fit` pass with Keras' own `fit`, and how many of these pass with each loop. Each
test that passes with Keras' `fit` alone is a line, with a reason from `REASONS`. The exit status is 1 if
there is one without a reason, and 2 if the installed Keras has no tests.
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
from typing import Literal, get_args

import tyro
from rich.console import Console
from rich.table import Table

Part = Literal["callbacks", "trainer", "optimizers", "models"]
PARTS = get_args(Part)
"""Each is, or begins the name of, a folder in `keras/src`."""
Setting = Literal["default", "program"]
LOOPS: dict[Setting, tuple[str, ...]] = {
    "default": ("fit", "graph", "eager"),
    "program": ("fit", "graph"),
}
"""The loops of each setting. In `program`, models are compiled with XLA, two steps an execution."""
ALL_LOOPS = LOOPS["default"]
REASONS = {
    "eager: .*test_retracing: ": "it counts calls of train_step; the loop eager calls it at each step",
    "expected arrays or a tf.data.Dataset; received": (
        "refused by intention: generators, PyDataset and loaders cannot be read twice in the same order"
    ),
    "expected one whose number of batches is known": "refused by intention: a dataset of unknown size",
    "expected fit for a model of a tf.distribute strategy": (
        "refused by intention: with a strategy only Keras' own loop trains a model of yours"
    ),
    r"test_steps_per_(epoch|execution_steps_per_epoch\w*)_(not_match_too_low|match_multi)": (
        "by intention each epoch has steps_per_epoch batches: Keras ends one early where the data end,"
        " and rounds its steps up to whole executions"
    ),
    "test_steps_per_execution_steps_per_epoch_unknown_data_size_not_match": (
        "the test needs a dataset of unknown size; kerasmlp.fit begins it anew where it ends"
    ),
}
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


def run(folder: Path, arguments: Iterable[str], **suite) -> dict[str, dict]:
    """Run tests in a process of their own. Return for each: outcome, whether it called `fit`, error.

    Args:
        folder: for what the tests write.
        arguments: of pytest, such as the files of the tests.
        suite: `loop`, `program` and `only` of the plugin.
    """
    results = folder / "results.json"
    results.unlink(missing_ok=True)
    (folder / "pytest.ini").write_text(CONFIGURATION)
    (folder / "suite.json").write_text(json.dumps(suite | {"results": str(results)}))
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(folder / "pytest.ini")]
    command += ["--rootdir", str(KERAS), "-p", "keras_suite_plugin", "-p", "no:cacheprovider"]
    command += ["--continue-on-collection-errors"]
    command += arguments
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


def compared(arguments: list[str], setting: Setting):
    """Return the tests that call `fit`, with Keras' own, and for each loop those of them that differ.

    A test differs if it passes with Keras' own `fit` alone. The tests that cannot be collected are
    returned too, each with its error.
    """
    program, failed = setting == "program", {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = run(folder, arguments, loop=None, only=None, program=program)
        calling = {test: of for test, of in found.items() if of.get("fit")}
        passed = [test for test, of in calling.items() if of["outcome"] == "passed"]
        for loop in LOOPS[setting]:
            results = run(folder, arguments, loop=loop, only=passed, program=program)
            of_loop = {
                test: results.get(test, {"outcome": "", "error": "it did not run"}) for test in passed
            }
            failed[loop] = {t: of["error"] for t, of in of_loop.items() if of["outcome"] != "passed"}
    missing = {test: of["error"] for test, of in found.items() if of["outcome"] == "not collected"}
    return calling, passed, failed, missing


def counts(part: Part, calling, passed, failed) -> list[str]:
    """Return how many tests of a part call `fit`, pass with Keras' own, and pass with each loop."""

    def count(tests) -> int:
        return sum(test.startswith(part) for test in tests)

    loops = (count(passed) - count(failed[loop]) if loop in failed else "" for loop in ALL_LOOPS)
    return [str(number) for number in (count(calling), count(passed), *loops)]


def reason(difference: str) -> str | None:
    """Return why a test differs, by `loop: test: error`; None if no reason is known."""
    return next((why for pattern, why in REASONS.items() if re.search(pattern, difference)), None)


def told(differences: dict[str, dict[str, str]]) -> int:
    """Print the tests that differ in a setting, by their reason. Return how many have none.

    Args:
        differences: for each loop the error of each test.
    """
    by_reason: dict[str | None, dict[str, list[str]]] = {}
    for loop, tests in differences.items():
        for test, error in tests.items():
            why = reason(f"{loop}: {test}: {error}")
            name = test if why else f"{test}: {error:.300}"
            by_reason.setdefault(why, {}).setdefault(name, []).append(loop)
    for why, tests in by_reason.items():
        print(f"  {why or 'NO REASON IS KNOWN'}")
        for name, loops in tests.items():
            print(f"    {name} ({', '.join(loops)})")
    return sum(map(len, by_reason.get(None, {}).values()))


def main(
    parts: tuple[Part, ...] = PARTS,
    settings: tuple[Setting, ...] = tuple(LOOPS),
    only: str = "",
    processes: int = 2,
) -> int:
    """Run Keras' tests with each loop.

    Args:
        parts: whose tests to run.
        settings: `default`: models as the tests compile them. `program`: with XLA and two steps an
            execution, where a test leaves both as they are.
        only: which tests to run, as pytest's `-k` takes it.
        processes: how many tests run at a time.
    """
    files = [file for part in parts for file in sorted(KERAS.glob(f"{part}*/**/*_test.py"))]
    files = [str(file) for file in files if ".fit(" in file.read_text()]
    if not files:
        print("the installed Keras has no tests", file=sys.stderr)
        return 2
    arguments = ["-n", str(processes), "-k", only, *files]
    table = Table("setting", "part", "call fit", "pass with Keras", *ALL_LOOPS)
    differences = {}
    for setting in settings:
        calling, passed, failed, missing = compared(arguments, setting)
        for part in parts:
            table.add_row(setting, part, *counts(part, calling, passed, failed))
        differences[setting] = failed
    Console(width=100).print(table)
    for file, error in missing.items():
        print(f"not run: {file}: {error}")
    unknown = 0
    for setting, of_setting in differences.items():
        print(f"{setting}: pass with Keras, but not with these loops")
        unknown += told(of_setting)
    print(f"{unknown} differences have no reason")
    return int(unknown > 0)


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
