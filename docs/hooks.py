"""Fills in what the pages only name, so that it stands in one place: tables, help, figures.

`{{ table NAME }}` is `benchmarks/results/NAME.json` as a table, with machine and versions;
`{{ fitted cluster }}` and `{{ larger cluster }}` what was fitted to it; `{{ help NAME }}` the help of a
command; `{{ doc NAME }}` what a module says of itself.
"""

import contextlib
import functools
import importlib
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"


def on_config(config: Any) -> Any:
    """Let the benchmarks be found. MkDocs takes back what a hook does to the path when it is loaded."""
    sys.path.insert(0, str(ROOT))
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the figures of the benchmarks, and the page on which one draws a digit."""
    for path in sorted(RESULTS.glob("*.png")):
        files.append(File.generated(config, f"images/{path.name}", abs_src_path=str(path)))
    files.append(File.generated(config, "digit.html", content=_digit_page()))
    return files


@functools.cache
def _digit_page() -> str:
    """Train the handbook's MLP on the 5,000 images that need no network, and return its page."""
    from kerasmlp import cli

    with cli.quiet_start(verbose=False):
        from kerasmlp.exporting.page import write_page
        from kerasmlp.exporting.served import Served
        from kerasmlp.runs import Settings, train

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data="mnist5k", name="mnist5k", logdir=Path(folder), summaries=())
        with cli.quiet(verbose=False), contextlib.redirect_stdout(io.StringIO()):
            run, _ = train(settings)
        path = Path(folder, "digit.html")
        write_page(Served.of_run(run), path)
        return path.read_text(encoding="utf-8")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with what it names in place."""
    return re.sub(r"\{\{ (\w+)(?: ([\w.]+))? \}\}", lambda found: FILLED[found[1]](found[2]), markdown)


def _results(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _table(name: str) -> str:
    """Return a table of the benchmarks, and what it was measured on."""
    markdown = importlib.import_module("benchmarks.__main__").markdown
    found = _results(name)
    versions, machine = found["versions"], found["machine"]
    names = {"tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy", "python": "Python"}
    packages = ", ".join(f"{title} {versions[package]}" for package, title in names.items())
    system = machine["platform"].partition("-")[0]
    where = f"*{machine['cores']} cores, {machine['processor']}, {system}; {packages}.*"
    return f"{markdown(name, found['rows'])}\n\n{where}"


def _told(name: str) -> list[str]:
    """Return the two tables of what was fitted to the measurements of a cluster."""
    told: str = importlib.import_module("benchmarks.clusters").told(_results(name)["rows"])
    return told.split("\n\n")


def _help(name: str) -> str:
    """Return the help of a command, as a terminal of 100 columns shows it."""
    shown = io.StringIO()
    os.environ |= {"COLUMNS": "100", "NO_COLOR": "1"}
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        importlib.import_module(f"kerasmlp.{name}").main(["--help"])
    return f"```text\n{shown.getvalue().strip()}\n```"


FILLED = {
    "table": _table,
    "fitted": lambda name: _told(name)[0],
    "larger": lambda name: _told(name)[1],
    "help": _help,
    "doc": lambda name: importlib.import_module(f"kerasmlp.{name}").__doc__,
}
