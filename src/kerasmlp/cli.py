"""How every command starts, reads its flags, fails and ends. Imports no TensorFlow.

Exit status: 0, success; 1, the training failed or lost a worker, or an export does not predict what its
model predicts; 2, the user's input is wrong; 130, interrupted by Ctrl-C; 143, by SIGTERM.
"""

import argparse
import contextlib
import gc
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import tyro

from kerasmlp import kept_programs

Settings = TypeVar("Settings")


class FailedError(Exception):
    """The command failed, although the user's input was right."""


def run(command: Callable[[], None]) -> int:
    """Run a command and return its exit status. Print an error as one line, `error: ...`."""
    try:
        command()
    except (FailedError, FloatingPointError, MemoryError, ConnectionError) as error:
        return failed(error, 1)
    except (ValueError, OSError) as error:
        return failed(error, 2)
    except KeyboardInterrupt as error:
        print(str(error) or "interrupted", file=sys.stderr)
        return getattr(error, "status", 130)
    return 0


def failed(error: Exception, status: int) -> int:
    """Print an error as one line, and return the status."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        message = f"{error.filename}: {error.strerror}"
    elif isinstance(error, MemoryError):
        message = "memory ran out"
    else:
        message = " ".join(_in_flags(error).split()) or type(error).__name__
    print(f"error: {message}", file=sys.stderr)
    return status


def parse(
    kind: type[Settings], module: str, argv: Sequence[str] | None, default: Settings | None = None
) -> Settings:
    """Return the settings that the flags `argv` give.

    Args:
        kind: the dataclass of the settings.
        module: the module that was called, for the help.
        argv: the flags. None for those of the process.
        default: the settings for flags that are not given. None for the defaults of the dataclass.

    Raises:
        ValueError: the flags are wrong. The message is one line.
        SystemExit: the help was asked for, and has been printed.
    """
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            given: dict[str, Any] = {} if default is None else {"default": default}
            return tyro.cli(kind, prog=f"python -m {module}", args=argv, **given)
    except SystemExit as exit:
        if not exit.code:
            raise
        wrong: BaseException | None = exit  # tyro hides the error that it makes a message of
        while wrong is not None and not hasattr(wrong, "setting"):
            wrong = wrong.__context__
        message = _one_line(errors.getvalue()) if wrong is None else _in_flags(wrong)
        raise ValueError(message) from None


def _in_flags(error: BaseException) -> str:
    """Return the message of an error. An attribute `setting` of it is called by its flag."""
    setting: str | None = getattr(error, "setting", None)
    message = str(error)
    return message if setting is None else f"--{setting.replace('_', '-')}{message[len(setting) :]}"


def peek(argv: Sequence[str] | None, **flags: Sequence[str] | None) -> dict[str, Any]:
    """Return which of `flags` are given in `argv`, with their values.

    For flags that decide the defaults of others, and so must be known before `parse`.

    Args:
        argv: the flags. None for those of the process.
        flags: the choices of each flag: None for any value, an empty list for a flag without a value. A
            flag with another value counts as not given.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for flag, choices in flags.items():
        valueless: dict[str, Any] = {} if choices or choices is None else {"action": "store_true"}
        parser.add_argument(f"--{flag}", default=None, **valueless)
    with contextlib.suppress(argparse.ArgumentError):
        given, _ = parser.parse_known_args(argv)
        return {
            flag: value
            for flag, value in vars(given).items()
            if value is not None and (value in (flags[flag] or (value,)))
        }
    return {}


MESSAGES = {
    r"Unrecognized options: (--[\w-]+).* Perhaps you meant: (--[\w-]+(?:, --[\w-]+)*).*": (
        r"unknown flag \1; did you mean \2?"
    ),
    r"Unrecognized options: (--[\w-]+).*": r"unknown flag \1; --help lists all",
    r"Unrecognized options: (.*)": r"expected flags, as --help lists them; received \1",
    r"Error parsing (\S+): .*?('[^']*')\]? Argument helptext: \S+ (.*?) [A-Z][a-z].*": (
        r"\1: expected \3; received \2"
    ),
    r"invalid choice (\S+) for argument '(\S+?)'. Expected one of \((.*)\).*": (
        r"\2: expected one of \3; received \1"
    ),
    r"Missing value for argument '(\S+?)'.*": r"\1: expected a value; received none",
    r"Missing from .*?: (\S+) .*": r"\1: expected a value; received none",
    r"Error parsing (?:\w+: )?(.*)": r"\1",
}
"""What tyro says of wrong flags, and how it is said here. The first that matches is taken."""
KINDS = {"[INT [INT ...]]": "integers", "INT": "an integer", "FLOAT": "a number", "{None}|": ""}
"""What tyro calls the kinds of values, and what they are called here."""


def _one_line(box: str) -> str:
    """Return a message that tyro drew into a box, of Unicode or ASCII, as one line, without the end."""
    lines = [line.strip("│ ") for line in box.splitlines()]
    rules = [line.startswith(("╭", "╰", "─", "---")) for line in lines]
    begin = rules.index(True) if any(rules) else 0  # before it stands a title
    inside = zip(lines[begin:], rules[begin:], strict=True)
    message = " ".join(line for line, is_rule in inside if line and not is_rule)
    message = re.sub(r" For full helptext, .*", "", message)
    for pattern, template in MESSAGES.items():
        if found := re.fullmatch(pattern, message):
            told = found.expand(template)
            return re.sub("|".join(map(re.escape, KINDS)), lambda name: KINDS[name[0]], told)
    return message.partition(" Argument helptext:")[0]


@contextlib.contextmanager
def quiet_start(verbose: bool) -> Iterator[None]:
    """A context for the first import of Keras: choose its backend, drop what TensorFlow prints.

    The programs that XLA compiles in this process are kept for the next command, see
    `kerasmlp.kept_programs`.

    Raises:
        ValueError: the variable `KERAS_BACKEND` names another backend.
    """
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise ValueError(
            f"KERAS_BACKEND: expected tensorflow, the one backend these loops are written for;"
            f" received {backend!r}"
        )
    kept_programs.keep()
    with _told("starting TensorFlow"), _not_collected(), _not_imported(*UNUSED), quiet(verbose):
        yield


@contextlib.contextmanager
def _told(words: str) -> Iterator[None]:
    """Show some words on a terminal until the context ends."""
    shown = sys.stderr.isatty()
    if shown:
        print(words, end="\r", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if shown:
            print(" " * len(words), end="\r", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _not_collected() -> Iterator[None]:
    """Collect no garbage while Keras is imported within the context, nor ever what the import leaves.

    Python looks at all objects again and again while TensorFlow is imported, which makes very many of
    them and no garbage. Without that, the import takes four fifths of the time.
    """
    if "keras" in sys.modules:  # what is there by now may be garbage one day
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


UNUSED = ("jax", "matplotlib", "pandas", "scipy", "sklearn", "torch")
"""What Keras and TensorFlow import if it is installed, and what no command uses through them. Without it
`import keras` takes 2.4 s instead of 4.4 s, on 2 cores with all of it installed."""


@contextlib.contextmanager
def _not_imported(*packages: str) -> Iterator[None]:
    """Make the packages look absent within the context. They can be imported after it."""
    absent = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in absent:
            del sys.modules[package]


@contextlib.contextmanager
def quiet(verbose: bool) -> Iterator[None]:
    """Drop what is written to standard error, unless verbose. If the context fails, show it."""
    if verbose:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Part of it comes before any log level is read, and from C++: below sys.stderr.
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as dropped:
        os.dup2(dropped.fileno(), 2)
        try:
            yield
        except (FailedError, ValueError, KeyboardInterrupt):  # these say it all
            raise
        except BaseException:
            dropped.seek(0)
            os.write(stderr, dropped.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
