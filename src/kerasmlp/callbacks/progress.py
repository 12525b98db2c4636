"""The progress of a training, on standard error; in a notebook on standard output, which is not red."""

import datetime
import sys
import time
from collections.abc import Callable, Sequence

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress

from kerasmlp.callbacks.stopwatch import Stopwatch
from kerasmlp.loops import Logs

UPDATE_SECONDS = 0.1
"""How long a line in a notebook stays as it is, at least."""


class ProgressLine(keras.callbacks.Callback):
    """Says what is trained; shows a live bar on a terminal, with the time that is left.

    `on_train_end` restores the terminal. Each epoch has a line, which is live in a notebook.

    Args:
        about: returns the lines that say what is trained, when the training begins.
        is_live: whether to show more than a line for each epoch.
    """

    def __init__(
        self, stopwatch: Stopwatch, about: Callable[[], Sequence[str]], is_live: bool = True
    ) -> None:
        super().__init__()
        self._stopwatch, self._about = stopwatch, about
        console = Console(stderr=True)
        columns = (
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            "{task.fields[metrics]}{task.fields[left]}",
        )
        self._bar = Progress(
            *columns, console=console, transient=True, disable=not (is_live and console.is_terminal)
        )
        self._is_live, self._in_notebook = is_live, console.is_jupyter
        self._live, self._drawn = "", 0.0  # the line in a notebook that is not complete, and when

    def on_train_begin(self, logs: Logs | None = None) -> None:
        for line in self._about():
            self._print(line)
        self._bar.start()
        self._tells_of_tracing = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._bar.stop()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._title = f"epoch {epoch + 1}/{self.params['epochs']}"
        self._time_left = self._left(self.params["epochs"] - epoch)
        self._task = self._bar.add_task(
            self._title, total=self.params["steps"], metrics="", left=self._time_left
        )

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self._tells_of_tracing:  # the first execution
            self._tells_of_tracing = False
            to_trace, to_compile = self._stopwatch.seconds_to_trace, self._stopwatch.seconds_to_compile
            if to_trace is not None and to_compile is not None:
                self._print(f"traced in {to_trace:.2f} s, compiled in {to_compile:.2f} s")
        done, metrics = min(batch + 1, self.params["steps"]), _formatted(logs)
        if not self._bar.disable:
            self._bar.update(self._task, completed=done, metrics=metrics)
        elif self._in_notebook and self._is_live and time.monotonic() > self._drawn + UPDATE_SECONDS:
            self._draw(f"{self._title}  {done}/{self.params['steps']}  {metrics}{self._time_left}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._bar.remove_task(self._task)
        seconds = self._stopwatch.seconds_per_step[-1] * self.params["steps"]
        self._print(f"{self._title}  {_formatted(logs)}  {seconds:.2f} s")

    def _left(self, epochs: int) -> str:
        """Return how long so many epochs will take, as the last one did; nothing before the first."""
        per_step = self._stopwatch.seconds_per_step
        if not per_step:
            return ""
        seconds = round(per_step[-1] * self.params["steps"] * epochs)
        return f"  {datetime.timedelta(seconds=seconds)} left"

    def _print(self, line: str) -> None:
        if self._in_notebook:
            self._draw(line, end="\n")
        elif self._bar.disable:
            print(line, file=sys.stderr, flush=True)
        else:
            self._bar.console.print(line, highlight=False, soft_wrap=True)

    def _draw(self, line: str, end: str = "") -> None:
        """Put a line in the place of the one that is not complete."""
        print(f"\r{line.ljust(len(self._live))}", end=end, flush=True)
        self._live, self._drawn = "" if end else line, time.monotonic()


def _formatted(logs: Logs | None) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in sorted((logs or {}).items()))
