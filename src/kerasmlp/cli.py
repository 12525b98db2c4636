"""How every command starts, fails and ends. Imports no TensorFlow.

Exit status: 0, success; 1, the training failed or lost a worker, or an export does not predict what its
model predicts; 2, the user's input is wrong; 130, interrupted by Ctrl-C; 143, by SIGTERM.
"""

import atexit
import contextlib
import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator

from kerasmlp import flags, kept_programs


class FailedError(Exception):
    """The command failed, although the user's input was right."""


def run(command: Callable[[], None]) -> int:
    """Run a command and return its exit status. Print an error as one line, `error: ...`."""
    _open_streams()
    try:
        command()
    except (FailedError, FloatingPointError, MemoryError, ConnectionError, ImportError) as error:
        return failed(error, 1)
    except (ValueError, OSError) as error:
        return failed(error, 2)
    except KeyboardInterrupt as error:
        print(str(error) or "interrupted", file=sys.stderr)
        return getattr(error, "status", 130)
    return 0


def _open_streams() -> None:
    """Let what is printed go nowhere, if whoever started the process has closed its standard streams.

    Otherwise a file that is opened next would have their place, and get what TensorFlow logs.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            lowest = os.open(os.devnull, os.O_RDWR)  # of the numbers that are free
            setattr(sys, name, os.fdopen(lowest, mode))


def failed(error: Exception, status: int) -> int:
    """Print an error as one line, and return the status."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        message = f"{error.filename}: {error.strerror}"
    elif isinstance(error, MemoryError):
        message = "memory ran out"
    else:
        message = " ".join(flags.message(error).split()) or type(error).__name__
    print(f"error: {message}", file=sys.stderr)
    return status


def choose_backend() -> None:
    """Let Keras use TensorFlow, in this process and in those that it starts.

    Raises:
        ValueError: the variable `KERAS_BACKEND` names another backend.
    """
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise ValueError(
            f"KERAS_BACKEND: expected tensorflow, the one backend these loops are written for;"
            f" received {backend!r}"
        )


@contextlib.contextmanager
def quiet_start(verbose: bool) -> Iterator[None]:
    """A context for the first import of Keras: choose its backend, drop what TensorFlow prints.

    The programs that XLA compiles in this process are kept for the next command, see
    `kerasmlp.kept_programs`.

    Raises:
        ValueError: as `choose_backend`.
    """
    choose_backend()
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
    them and no garbage. Without that, the import takes four fifths of the time; and the end of the
    process, where Python looks once more at all that is left, 0.1 s instead of 0.2 s.
    """
    if "keras" in sys.modules:  # what is there by now may be garbage one day
        yield
        return
    atexit.register(gc.freeze)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


UNUSED = ("IPython", "jax", "matplotlib", "pandas", "scipy", "sklearn", "torch")
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
        except (FailedError, ValueError, ImportError, KeyboardInterrupt):  # these say it all
            raise
        except BaseException:
            dropped.seek(0)
            os.write(stderr, dropped.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
