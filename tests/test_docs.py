"""README and documentation say what is so: flags, commands, code, files, tags; the site is built."""

import contextlib
import dataclasses
import importlib
import io
import itertools
import json
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from helpers import python, save_npz, series
from kerasmlp import __main__, flags
from kerasmlp.runs import DECIDING
from kerasmlp.runs.recipes import RECIPES
from kerasmlp.runs.settings import Settings
from kerasmlp.tensorboard.tags import TAGS, about
from kerasmlp.train import train

ROOT = Path(__file__).parents[1]
README, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
RESULTS = sorted((ROOT / "benchmarks/results").glob("*.json"))
WITH_PROGRAMS = [path for path in PAGES if path == README or path.parent.name == "tutorial"]


def text(path):
    return path.read_text(encoding="utf-8")


def blocks(path, kind):
    """The code blocks of that kind in a page."""
    return re.findall(rf"^```{kind}\n(.*?)^```", text(path), re.MULTILINE | re.DOTALL)


def commands():
    """The commands of this package in the console blocks of all pages, with their flags."""
    for path in PAGES:
        for block in blocks(path, "console"):
            for line in re.findall(r"^\$ (.*)$", block.replace("\\\n", " "), re.MULTILINE):
                found = re.search(r"(?:^|/| )(?:python -m kerasmlp\.|kerasmlp )(\w+)(.*)", line)
                if found and not line.endswith(found[1]):
                    yield pytest.param(found[1], shlex.split(found[2], comments=True), id=line[:70])


def test_the_checks_run_the_readmes_test_command():
    (command,) = re.findall(r"^\$ python3 -m venv \.venv && (.*pytest)$", text(README), re.MULTILINE)
    install, test = command.replace(".venv/bin/", "").split(" && ")
    checks = text(ROOT / ".ci/run")
    assert f"{install} --quiet".split()[:2] == ["pip", "install"]
    assert install.removeprefix("pip install ") in checks
    assert f"\n{test}\n" in checks


def test_the_readme_is_short():
    assert len(text(README).splitlines()) <= 150


def test_every_flag_that_is_named_exists(request, monkeypatch):
    programs = [f"src/kerasmlp/{name}.py" for name in __main__.COMMANDS]
    programs += ["benchmarks/__main__.py", "tests/kills.py", "tests/browser.py", "tests/photographs.py"]
    monkeypatch.setattr(sys, "argv", ["", "--help"])
    with contextlib.redirect_stdout(io.StringIO()) as helps:
        for program in programs:
            with contextlib.suppress(SystemExit):
                runpy.run_path(str(ROOT / program), run_name="__main__")
    help_text = helps.getvalue() + request.config._parser.optparser.format_help()
    named = re.sub("^#SBATCH.*", "", "\n".join(map(text, PAGES)), flags=re.MULTILINE)
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", named))
    shown -= {"--help", "--logdir", "--version", "--x", "--y", "--tyro-print-completion"}
    shown -= {"--gpus-per-task", "--kill-on-bad-exit"}  # of Slurm
    shown -= {"--again", "--idle", "--seconds"}  # of tests/mutants.py, which needs an extra of its own
    assert len(shown) > 8
    ends = (" ", ",", "=", "\n")
    assert {flag for flag in shown if not any(f"{flag}{end}" in help_text for end in ends)} == set()


@pytest.mark.parametrize("name, argv", list(commands()))
def test_every_command_that_is_shown_is_understood(name, argv):
    kind = importlib.import_module(f"kerasmlp.{name}").Settings
    starting_from = getattr(kind, "starting_from", lambda given: None)
    flags.parse(kind, f"kerasmlp.{name}", argv, starting_from(flags.peek(argv, **DECIDING)))


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The environment of a process that has the package from a wheel, outside of the checkout."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("installed")
    pip = ("-m", "pip", "--disable-pip-version-check")
    made = python(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    assert made.returncode == 0, made.stderr
    (wheel,) = folder.glob("*.whl")
    done = python(*pip, "install", "--no-deps", "--target", folder / "packages", wheel)
    assert done.returncode == 0, done.stderr
    return {"PYTHONPATH": str(folder / "packages")}


@pytest.mark.thorough
@pytest.mark.parametrize("path", WITH_PROGRAMS, ids=lambda path: path.stem)
def test_the_programs_of_a_page_run_with_the_wheel(path, installed, tmp_path):
    program = tmp_path / "page.py"
    which = "import kerasmlp; print('package:', kerasmlp.__file__)"
    program.write_text("\n".join([which, *blocks(path, "python")]), encoding="utf-8")
    done = python(program, cwd=tmp_path, **installed)
    assert done.returncode == 0, done.stderr
    assert f"package: {installed['PYTHONPATH']}" in done.stdout
    assert "1 of 2 loops agree" in done.stdout
    assert "(certain: it gives the loop's step bit for bit)" in done.stdout
    for expected in blocks(path, "text"):
        assert " ".join(expected.split()) in " ".join(done.stdout.split())


@pytest.mark.thorough
def test_the_commands_run_with_the_wheel(installed, tmp_path):
    for command, printed in {
        "train --data mnist5k --epochs 1 --name mine": "test accuracy: ",
        "list": "mine",
        "evaluate latest": "test accuracy: ",
        "export latest --format keras": "100.0%",
        "seeds --data mnist5k --epochs 1 --seeds 2": "standard",
        "compare --data mnist5k --loops fit graph --epochs 1 --repeats 0": "2 of 2 loops agree",
    }.items():
        done = python("-m", "kerasmlp", *command.split(), cwd=tmp_path, **installed)
        assert done.returncode == 0, done.stderr
        assert printed in done.stdout, done.stdout
    root = Path(installed["PYTHONPATH"], "kerasmlp")
    files, packed = (
        {path.relative_to(each) for path in each.rglob("*.*") if path.suffix != ".pyc"}
        for each in (ROOT / "src/kerasmlp", root)
    )
    assert packed == files


def test_every_row_of_the_security_table_names_tests_that_exist():
    table = text(ROOT / "docs/reference/security.md").partition("| --- |\n")[2].partition("\n\n")[0]
    rows = [re.findall(r"`(tests/\S+\.py)`: (`\w+`(?:, `\w+`)*)", row) for row in table.splitlines()]
    assert len(rows) > 8 and all(rows)
    for path, names in itertools.chain(*rows):
        for name in re.findall(r"\w+", names):
            assert f"\ndef {name}(" in text(ROOT / path), (path, name)


def test_the_table_of_dependencies_names_each_of_them_once():
    project = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]
    table = text(ROOT / "docs/reference/versions.md").partition("| dependency |")[2].partition("\n\n")[0]
    named = re.findall(r"^\| ([a-z][a-z-]*) \|", table, re.MULTILINE)
    assert named == [re.match(r"[a-z-]+", each)[0] for each in project["dependencies"]]


def test_the_table_of_recipes_has_the_flags_of_each():
    rows = re.findall(r"^\| `(\w+)` \| `(--.*)` \|$", text(ROOT / "docs/how-to/train.md"), re.MULTILINE)
    assert [name for name, _ in rows] == [name for name, recipe in RECIPES.items() if recipe]
    for name, argv in rows:
        given = flags.parse(Settings, "kerasmlp.train", shlex.split(argv), Settings())
        assert dataclasses.replace(given, recipe=name) == Settings(recipe=name)
        assert argv.count("--") == len(RECIPES[name])


def test_the_notebook_is_the_tutorial():
    made = runpy.run_path(str(ROOT / "docs/notebook.py"))
    assert text(made["NOTEBOOK"]) == made["notebook"](text(made["TUTORIAL"]))


def test_the_chinese_readme_has_the_same_content():
    """The same headings, links, code and figures."""
    for pattern in (r"^#+ ", r"\]\((?!README)(.*?)\)", r"^```.*", r"\d[\d,.]*\d|\d", r"`[^`\n]+`"):
        english, chinese = (re.findall(pattern, text(path), re.MULTILINE) for path in (README, CHINESE))
        if pattern.startswith(r"\]"):
            english, chinese = (
                [link for link in each if "tf.wiki" not in link] for each in (english, chinese)
            )
        assert sorted(english) == sorted(chinese), pattern
    for kind in ("console", "python", "text"):
        assert blocks(README, kind) == blocks(CHINESE, kind)


def test_every_table_that_was_measured_is_a_result():
    named = re.findall(r"\{\{ table (\w+) \}\}", text(ROOT / "docs/results.md"))
    assert sorted(named) == [path.stem for path in RESULTS]


@pytest.mark.thorough
def test_the_site_is_built_without_a_network(tmp_path):
    pytest.importorskip("mkdocs")
    command = [Path(sys.executable).with_name("mkdocs"), "build", "--strict"]
    site = ["--site-dir", tmp_path / "site"]
    done = subprocess.run([*command, *site], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results, commands, api, rounding = (
        text(tmp_path / f"site/{page}.html")
        for page in ("results", "reference/commands", "reference/api", "explanation/rounding")
    )
    for path in RESULTS:
        row = next(iter(json.loads(text(path))["rows"]))
        assert row.replace("&", "&amp;") in results
    assert "steps-per-execution" in commands
    assert "assert_loops_agree" in api
    assert "Monte Carlo" in rounding
    assert (tmp_path / "site/images/epochs.png").exists()
    for page in (tmp_path / "site").rglob("*.html"):
        assert "{{ " not in text(page), page
        assert not re.findall(r'(?:src|href)="https?://[^"]*\.(?:js|css)"', text(page)), page


@pytest.fixture(scope="module")
def folder(tmp_path_factory, digits):
    """Of a run of 108 steps: every hundredth loss is written."""
    logs = tmp_path_factory.mktemp("logs")
    small = {"data": str(save_npz(logs, digits)), "batch_size": 1, "epochs": 3, "jit_compile": False}
    return train(Settings(**small, translation=1.0, logdir=logs, name="x"))[0]


def test_the_glossary_is_what_a_run_writes_and_tensorboard_says(folder):
    page = text(ROOT / "docs/how-to/tensorboard.md")
    table = page.partition("| tag | sub-runs | what |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    assert {tag: meaning for tag, _, meaning in rows} == TAGS
    written = {(sub_run, tag) for sub_run, _, tag in series(folder)}
    written -= {key for key in written if key[1].startswith("_")}  # HParams' and the graph
    found = {(about(tag), sub_run) for sub_run, tag in written}
    assert found == {(meaning, sub_run) for _, at, meaning in rows for sub_run in at.split(", ")}


def test_the_table_of_files_names_what_a_run_writes(folder):
    table = text(ROOT / "docs/reference/files.md").partition("| file | what |")[2].partition("\n\n")[0]
    first_cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    named = {name for cell in first_cells for name in re.findall(r"`(.*?)`", cell)}
    assert all(list(folder.glob(name)) for name in named), named
    tops = {name.split("/")[0] for name in named}
    assert all(any(path.match(top) for top in tops) for path in folder.iterdir())
