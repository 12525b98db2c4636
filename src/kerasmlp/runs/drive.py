"""How a run is driven: the loop is called with the run's callbacks, and interruptions are waited for."""

import contextlib
import functools
import importlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasmlp import callbacks, distribute
from kerasmlp.loops import ResumableLoop
from kerasmlp.runs.divergence import warn_of_divergence
from kerasmlp.runs.record import Record
from kerasmlp.runs.results import of_history, save_best
from kerasmlp.runs.run_callbacks import run_callbacks
from kerasmlp.runs.run_settings import RunSettings
from kerasmlp.runs.settings import Settings
from kerasmlp.runs.task import Task


def drive(
    settings: RunSettings,
    task: Task,
    record: Record,
    loop: ResumableLoop,
    *,
    given: Sequence[keras.callbacks.Callback] = (),
    validation_freq: int | Sequence[int] = 1,
    workers: distribute.Distribution | None = None,
    verbose: int = 1,
) -> dict[str, Any]:
    """Run the loop, and save the best weights. Return what was measured.

    Args:
        given: callbacks of the user's.
        validation_freq: after which epochs to validate, as in `fit`.
        workers: what the loop is distributed over. None for nothing.
        verbose: 0 shows no progress; 2 a line for each epoch, and nothing live.
    """
    shared = workers is not None and workers.cluster is not None
    with callbacks.Interruption(shared=shared) as interruption:
        stopwatch = callbacks.Stopwatch(task.batches.batch_size)
        heard = run_callbacks(settings, task, record, stopwatch, interruption, given, verbose)
        begun = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs=None: _import_matplotlib()
        )
        heard.insert(1, begun)  # after the stopwatch
        if workers is not None and shared:
            heard.insert(0, distribute.StopTogether(workers, interruption))
        try:
            history = loop(
                task.model,
                task.batches,
                task.validation,
                settings.epochs,
                heard,
                record.initial_step,
                validation_freq,
            )
        except BaseException:
            for callback in heard:  # Keras leaves their files open
                with contextlib.suppress(Exception):
                    callback.on_train_end()
            raise
        if interruption.received is not None:
            raise callbacks.Interrupted(interruption.received, "interrupted after the last step")
    rate = settings.learning_rate if isinstance(settings, Settings) and settings.model is None else None
    warn_of_divergence(task.model, task.batches, history, rate)
    if best := heard[-1].best_weights:
        save_best(task.model, best, record.folder)
    return {
        **of_history(history),
        "steps": stopwatch.step,
        "seconds_per_epoch": stopwatch.seconds_per_epoch,
        "seconds_to_first_step": stopwatch.seconds_to_first_step,
        "seconds_to_trace": stopwatch.seconds_to_trace,
        "seconds_to_compile": stopwatch.seconds_to_compile,
        "replicas": 1 if workers is None else workers.replicas,
    }


@functools.cache
def _import_matplotlib() -> None:
    """Import it once, for the figure at the end, in a thread, while the device trains and Python waits.

    Before the first execution it would slow down the trace, which is Python too.
    """
    module = "kerasmlp.runs.history"
    threading.Thread(target=importlib.import_module, args=[module], daemon=True).start()


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Raise a `MemoryError` when TensorFlow finds no memory, as Python does."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError from error
