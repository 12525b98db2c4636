"""The README says what is so."""

import contextlib
import io
import json
import re
import runpy
import sys
from pathlib import Path

import pytest

from benchmarks import clusters
from benchmarks.__main__ import markdown
from helpers import series
from kerasmlp.runs.settings import Settings
from kerasmlp.tensorboard.tags import TAGS, about
from kerasmlp.train import train

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def readme():
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_checks_run_the_readmes_test_command(readme):
    (command,) = re.findall(r"^\$ python3 -m venv \.venv && (.*pytest)$", readme, re.MULTILINE)
    install, test = command.replace(".venv/bin/", "").split(" && ")
    checks = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert f"{install} --quiet".split()[:2] == ["pip", "install"]
    assert install.removeprefix("pip install ") in checks
    assert f"\n{test}\n" in checks


def test_every_flag_of_the_readme_exists(readme, request, monkeypatch):
    names = ("train", "seeds", "launch", "compare", "evaluate", "export", "predict")
    programs = [f"src/kerasmlp/{name}.py" for name in names]
    programs += ["benchmarks/__main__.py", "tests/kills.py", "tests/browser.py"]
    monkeypatch.setattr(sys, "argv", ["", "--help"])
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        for program in programs:
            with contextlib.suppress(SystemExit):
                runpy.run_path(str(ROOT / program), run_name="__main__")
    help_text = shown.getvalue() + request.config._parser.optparser.format_help()
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", readme)) - {"--help", "--logdir"}
    assert len(flags) > 8
    ends = (" ", ",", "=", "\n")
    assert {flag for flag in flags if not any(f"{flag}{end}" in help_text for end in ends)} == set()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, mnist5k):
    """Of a run."""
    settings = Settings(epochs=2, translation=1.0, logdir=tmp_path_factory.mktemp("logs"), name="x")
    return train(settings, mnist5k)[0]


def test_the_glossary_is_what_a_run_writes_and_tensorboard_says(readme, folder):
    table = readme.partition("| tag | sub-runs | what |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    assert {tag: meaning for tag, _, meaning in rows} == TAGS
    written = {(sub_run, tag) for sub_run, _, tag in series(folder)}
    written -= {key for key in written if key[1].startswith("_")}  # HParams' and the graph
    found = {(about(tag), sub_run) for sub_run, tag in written}
    assert found == {(meaning, sub_run) for _, at, meaning in rows for sub_run in at.split(", ")}


def test_the_table_of_files_names_what_a_run_writes(readme, folder):
    table = readme.partition("| file | what |")[2].partition("\n\n")[0]
    first_cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    named = {name for cell in first_cells for name in re.findall(r"`(.*?)`", cell)}
    assert all(list(folder.glob(name)) for name in named), named
    tops = {name.split("/")[0] for name in named}
    assert all(any(path.match(top) for top in tops) for path in folder.iterdir())


def test_the_tables_of_speed_are_those_that_were_measured(readme):
    results = list((ROOT / "benchmarks/results").glob("*.json"))
    assert len(results) >= 3
    for path in results:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        told = clusters.told(rows) if path.stem == "cluster" else ""
        for line in (markdown(path.stem, rows) + "\n" + told).splitlines():
            assert line in readme
