import dataclasses
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

import kerasmlp
from helpers import cases, python
from kerasmlp import __main__, cli, compare, flags
from kerasmlp.runs.repetition import Repetition
from kerasmlp.runs.settings import Settings


@pytest.mark.parametrize(
    "error, status, line",
    [
        (ValueError("expected a\n  thing"), 2, "error: expected a thing"),
        (FileNotFoundError(2, "No such file", "data.npz"), 2, "error: data.npz: No such file"),
        (OSError("the disk is full"), 2, "error: the disk is full"),
        (FloatingPointError("the loss is nan"), 1, "error: the loss is nan"),
        (cli.FailedError("it is not the same"), 1, "error: it is not the same"),
        (MemoryError(), 1, "error: memory ran out"),
        (ImportError("expected Keras 3.15"), 1, "error: expected Keras 3.15"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_status(error, status, line, capsys):
    def command():
        raise error

    assert cli.run(command) == status
    assert capsys.readouterr().err == f"{line}\n"


def test_a_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda: print(1 / 0))


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--loop", "x"], "^--loop: expected one of 'fit', 'graph', 'eager'; received 'x'$"),
        (["--lop", "fit"], r"^unknown flag --lop; did you mean --loop\?$"),
        (["--no-jit"], r"^unknown flag --no-jit; did you mean --jit-compile, --no-jit-compile\?$"),
        (["--zzzzz"], "^unknown flag --zzzzz; --help lists all$"),
        (["mnist"], "^expected flags, as --help lists them; received mnist$"),
        (["--epochs", "x"], "^--epochs: expected an integer; received 'x'$"),
        (["--learning-rate", "fast"], "^--learning-rate: expected a number; received 'fast'$"),
        (["--hidden-units", "a"], "^--hidden-units: expected integers; received 'a'$"),
        (["--early-stopping", "x"], "^--early-stopping: expected an integer; received 'x'$"),
        (["--epochs"], "^--epochs: expected a value; received none$"),
        (["--epochs", "0"], "^--epochs: expected at least 1; received 0$"),
        (["--batch-size", "0"], "^--batch-size: expected at least 1; received 0$"),
    ],
)
def test_wrong_flags_are_one_line(argv, message):
    with pytest.raises(ValueError, match=message) as raised:
        flags.parse(Settings, "kerasmlp.train", argv)
    assert "\n" not in str(raised.value)


def test_flags_become_settings():
    argv = ["--hidden-units", "800", "400", "--no-jit-compile", "--validation-size", "7", "--name", "x"]
    settings = flags.parse(Settings, "kerasmlp.train", argv)
    assert settings == Settings(hidden_units=(800, 400), jit_compile=False, validation_size=7, name="x")


HELPS = [name for name in __main__.COMMANDS if name != "launch"]


@pytest.mark.parametrize("name", HELPS)
def test_the_help_is_as_wide_as_the_terminal_and_names_every_flag(name, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "90")
    module = importlib.import_module(f"kerasmlp.{name}")
    with pytest.raises(SystemExit):
        module.main(["--help"])
    usage, _, shown = capsys.readouterr().out.partition("\n")
    assert max(map(len, shown.splitlines())) <= 90
    assert "None" not in shown.replace("None or", "") and "|{" not in shown
    for field in dataclasses.fields(module.Settings):
        flag, metavar = field.name.replace("_", "-"), field.name.removesuffix("s").upper()
        assert f"--{flag}" in shown or metavar in usage, field.name


@pytest.mark.parametrize(
    "kind", [Settings, Repetition, compare.Settings], ids=lambda kind: kind.__module__
)
def test_every_flag_is_in_one_group(kind):
    grouped = [name for names in kind.groups.values() for name in names]
    assert sorted(grouped) == sorted(field.name for field in dataclasses.fields(kind))


def test_the_help_begins_with_the_recipe(capsys):
    with pytest.raises(SystemExit):
        flags.parse(Settings, "kerasmlp.train", ["--help"])
    shown = re.findall(r"^\W*(--[a-z]+)", capsys.readouterr().out, re.MULTILINE)
    assert shown[0] == "--recipe"


def test_peek_finds_what_decides_the_defaults():
    choices = {"recipe": ["default", "handbook"], "loop": ["fit", "eager"]}
    assert flags.peek(["--epochs", "3", "--loop=eager", "--recipe", "handbook"], **choices) == {
        "loop": "eager",
        "recipe": "handbook",
    }
    assert flags.peek(["--loop", "x", "--rec", "handbook"], **choices) == {}
    assert flags.peek(["--loop"], **choices) == {}
    place = {"resume": (), "name": None}
    assert flags.peek(["--name=x", "--resume", "--seed", "1"], **place) == {"resume": True, "name": "x"}
    assert flags.peek([], **place) == {}


@pytest.mark.parametrize("verbose", [True, False])
def test_a_verbose_start_prints_what_tensorflow_says_and_another_does_not(verbose):
    """What it says is a line here, as from C++. An import of TensorFlow would take seconds."""
    program = f"""
import os
from kerasmlp import cli, flags
with cli.quiet_start({verbose}):
    os.write(2, b"what it says")
print(os.environ.get("TF_CPP_MIN_LOG_LEVEL"))
"""
    given = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", program], env=given, capture_output=True, text=True)
    expected = ("what it says", "None\n") if verbose else ("", "3\n")
    assert (done.stderr, done.stdout) == expected


@pytest.mark.thorough
def test_a_start_leaves_out_what_keras_imports_only_because_it_is_there():
    program = """
import sys
from kerasmlp import cli, flags
with cli.quiet_start(False): import keras
print({"matplotlib", "pandas", "scipy", "sklearn"} & set(sys.modules))
import matplotlib, pandas, scipy, sklearn
"""
    done = python("-c", program)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system has no /proc")
def test_what_is_dropped_leaves_no_file_open():
    def files():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = files()
    for _ in range(3):
        with cli.quiet(verbose=False):
            assert files() > before
    assert files() == before


def test_a_quiet_start_prints_nothing_and_collects_no_garbage():
    program = """
import gc
from kerasmlp import cli, flags
with cli.quiet_start(False):
    import keras
    print(gc.isenabled())
print(gc.isenabled(), gc.get_freeze_count() > 100_000)
frozen, kept = gc.get_freeze_count(), [[] for _ in range(1000)]
with cli.quiet_start(False):
    print(gc.isenabled())
print(gc.get_freeze_count() < frozen + len(kept))
"""
    done = python("-c", program, TF_CPP_MIN_LOG_LEVEL="")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "False\nTrue True\nTrue\nTrue\n"


def test_a_start_that_fails_is_not_silenced():
    program = """
import os
from kerasmlp import cli, flags
with cli.quiet_start(False):
    os.write(2, b"why")
    raise SystemExit(3)
"""
    done = python("-c", program)
    assert (done.returncode, done.stderr) == (3, "why")


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with (
        pytest.raises(ValueError, match=r"KERAS_BACKEND: expected tensorflow.*received 'jax'"),
        cli.quiet_start(False),
    ):
        pass


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_what_is_missing_is_named_whatever_the_terminal_shows(encoding):
    done = python("-m", "kerasmlp", "predict", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (2, "error: RUN: expected a value; received none\n")


def test_the_package_lists_its_commands(capsys):
    assert __main__.main([]) == __main__.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = [line.split()[1] for line in lines if line.startswith("  kerasmlp ")]
    assert listed == 2 * list(__main__.COMMANDS)


@pytest.mark.parametrize(
    "argv, message",
    [
        (["trian"], "received trian; did you mean train?"),
        (["--loop", "fit"], "received --loop; kerasmlp --help lists them."),
        (["train", "--lop", "x"], "unknown flag --lop; did you mean --loop?"),
    ],
)
def test_a_command_that_there_is_not_is_an_error(argv, message, capsys):
    assert __main__.main(argv) == 2
    assert capsys.readouterr().err.endswith(f"{message}\n")


def test_the_version_names_what_the_results_depend_on(capsys):
    assert __main__.main(["--version"]) == 0
    assert f"kerasmlp {kerasmlp.__version__}, tensorflow {tf.__version__}" in capsys.readouterr().out


def test_a_shell_completes_commands_and_flags(capsys):
    with pytest.raises(SystemExit):
        __main__.main(["--tyro-print-completion", "bash"])
    script = capsys.readouterr().out
    assert all(f"'{command}': {{'description'" in script for command in __main__.COMMANDS)
    assert "--steps-per-execution" in script


STARTS = {
    "the command": [Path(sys.executable).with_name("kerasmlp")],
    "python -m": [sys.executable, "-m", "kerasmlp"],
}


@pytest.mark.parametrize("start", cases(STARTS, default=("the command",)))
def test_the_command_finds_a_module_in_the_current_folder_as_python_m_does(start, tmp_path):
    (tmp_path / "mine.py").write_text("def make(): return None\n")
    flags = ("train", "--data", "mnist5k", "--model", "mine:make")
    done = subprocess.run([*STARTS[start], *flags], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "expected a compiled keras.Model" in done.stderr, done
