"""`kerasmlp.fit`: trains any compiled Keras model, as Keras' `fit` does."""

import functools
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerasmlp import callbacks as ours
from kerasmlp.data import Examples, Parts
from kerasmlp.loops import LOOPS, Loop, set_steps
from kerasmlp.runs import own_loop, run_folder, summary
from kerasmlp.runs.by_name import listed
from kerasmlp.runs.divergence import warn_of_divergence
from kerasmlp.runs.drive import drive, memory_errors
from kerasmlp.runs.fields import SettingError
from kerasmlp.runs.fit_data import FitData, fit_data
from kerasmlp.runs.fit_settings import FitSettings
from kerasmlp.runs.record import opened
from kerasmlp.runs.results import finish
from kerasmlp.runs.task import SAMPLE, SHOWN, Task


def fit(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: int | str = "auto",
    callbacks: "keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None" = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: int | Sequence[int] = 1,
    *,
    loop: str | Loop = "fit",
    steps_per_execution: int | str | None = None,
    seed: int = 0,
    run: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: str = "1epoch",
    **recording: Any,
) -> keras.callbacks.History:
    """Train a compiled model, as Keras' `model.fit` does, with a loop of your choice.

    The arguments that are not listed have their meaning from Keras' `fit`. The batches of a step depend
    only on `seed` and the step. So all loops train on the same ones, and a run can be resumed exactly.

    Args:
        model: a compiled Keras model.
        x: inputs: arrays `[examples, ...]` in any structure of dicts, lists and tuples, of any type,
            also sparse, ragged, or of text; or a `tf.data.Dataset` of batches, in its own order, which
            must be the same each time it is read. Nothing is scaled.
        y: targets of the examples. None with a dataset, which has them.
        sample_weight: weights of the examples. None for equal ones, and with a dataset.
        batch_size: examples in a batch; 32 by default.
        verbose: 0 shows no progress; 2 shows a line for each epoch, and nothing live.
        shuffle: whether arrays are taken in a new order each epoch. A dataset has its own order.
        steps_per_epoch: batches in an epoch, if it has not all. The next epoch goes on where this one
            ended.
        loop: `fit`, `graph`, `eager`, or a function of your own with the signature of
            `kerasmlp.loops.Loop`. It gets your callbacks, and returns the metrics of each epoch. Its
            run has these, and the trained model; it has no checkpoints, and cannot be resumed.
        steps_per_execution: how many steps an execution has; `auto`: as many as leave callbacks their
            turn four times a second, unless `compile` has set a number. None for that of `compile`.
        seed: the seed of the order of the batches.
        run: the folder of the run, such as `logs/mine`: checkpoints, what TensorBoard shows, history,
            metrics, and the trained model. None writes nothing.
        resume: resume the run from its last checkpoint; begin it if there is none. The arguments must be
            those that it was begun with; the number of epochs and the loop may differ.
        checkpoint_every: how often to write a checkpoint: `1epoch`, `1000steps` or `30s`.
        recording: more settings of a run: `keep_checkpoints`, `summaries` and `profile`, as in
            `kerasmlp.Settings`.

    Returns:
        Keras' `History`, with the metrics of each epoch.

    Raises:
        ValueError: the model is not compiled, or an argument is wrong. The message names it.
        OSError: the folder of the run cannot be made or written; or it has a run, without `resume`.
        FloatingPointError: with a run: a loss is infinite or NaN.
        Interrupted: with a run: SIGINT or SIGTERM came, and the run has been saved.
    """
    epochs = _at_most(keras.config.max_epochs(), epochs)
    steps_per_epoch = _at_most(keras.config.max_steps_per_epoch(), steps_per_epoch)
    own = loop if callable(loop) else None
    folder = None if run is None else Path(run)
    if folder is not None:
        recording |= {"logdir": folder.parent, "name": folder.name}
        if not resume and os.path.lexists(folder):
            raise FileExistsError(f"run: expected a new folder, or resume=True; {folder} exists")
    elif resume:
        raise SettingError("run", "the folder of the run to resume", run)
    settings = FitSettings(
        loop=str(loop) if own is None else own_loop.name(own),
        epochs=epochs,
        batch_size=32 if batch_size is None else batch_size,
        seed=seed,
        shuffle=shuffle,
        initial_epoch=initial_epoch,
        steps_per_epoch=steps_per_epoch,
        validation_split=validation_split,
        validation_steps=validation_steps,
        steps_per_execution=steps_per_execution,  # type: ignore[arg-type]  # it is checked
        validation_batch_size=validation_batch_size,
        validation_freq=validation_freq,  # type: ignore[arg-type]  # a list becomes a tuple
        resume=resume,
        checkpoint_every=checkpoint_every,
        **recording,
    )
    _check(model, settings, own)
    data = fit_data(settings, x, y, sample_weight, class_weight, validation_data)
    if settings.steps_per_execution is not None:
        set_steps(model, settings.steps_per_execution, data.train)
    given = [] if callbacks is None else callbacks
    heard = listed(given, "callbacks: expected keras callbacks")
    shown = 2 if verbose == 2 else int(bool(verbose))
    if folder is not None:
        return _recorded(settings, model, data, own, heard, shown)
    if own is not None:
        return own_loop.train(own, model, data, epochs, heard)
    if shown:
        stopwatch = ours.Stopwatch(data.train.batch_size)
        about = functools.partial(summary.lines, settings, model, data.train, data.name)
        heard = [stopwatch, ours.ProgressLine(stopwatch, about, shown != 2), *heard]
    first_step = initial_epoch * data.train.steps_per_epoch
    history = LOOPS[settings.loop](
        model, data.train, data.validation, epochs, heard, first_step, settings.validation_freq
    )
    warn_of_divergence(model, data.train, history)
    return model.history


def _at_most(limit: int | None, number: Any) -> Any:
    """Return the number; or the limit, if it is smaller, or the number is None."""
    return min((each for each in (number, limit) if each is not None), default=None)


def _check(model: Any, settings: FitSettings, own: Loop | None) -> None:
    """Raise a `ValueError` if the model or the loop cannot be trained with."""
    if not hasattr(model, "compiled"):  # a keras.Model, or a layer that Keras' trainer makes one
        raise ValueError(f"model: expected a compiled keras.Model; received {type(model).__name__}")
    if not model.compiled:
        raise ValueError(
            "model: expected a compiled model; received one without compile(). Call"
            " model.compile(optimizer=..., loss=...) first"
        )
    if own is None and settings.loop not in LOOPS:
        raise SettingError("loop", "fit, graph, eager or a function", settings.loop)
    if own is None and settings.loop != "fit" and model.distribute_strategy.num_replicas_in_sync > 1:
        raise SettingError("loop", "fit for a model of a tf.distribute strategy", settings.loop)
    if own is not None and settings.initial_epoch:
        raise SettingError("initial_epoch", "0 with a loop of your own", settings.initial_epoch)


def _recorded(
    settings: FitSettings,
    model: keras.Model,
    data: FitData,
    own: Loop | None,
    callbacks: list[Any],
    verbose: int,
) -> keras.callbacks.History:
    """Train in a run folder. Return the history of the whole run."""
    folder = settings.resumed_folder()
    task = _task(model, data)
    first_step = settings.initial_epoch * data.train.steps_per_epoch
    with memory_errors(), opened(settings, task, folder, first_step) as record:
        if own is not None:
            measured = own_loop.train_into(record, own, model, data, settings.epochs, callbacks)
        else:
            with ours.resumable_by(run_folder.resume_command("kerasmlp.fit", record.folder)):
                measured = drive(
                    settings,
                    task,
                    record,
                    LOOPS[settings.loop],
                    given=callbacks,
                    validation_freq=settings.validation_freq,
                    verbose=verbose,
                )
        finish(settings, task, record, measured)
    return model.history


def _task(model: keras.Model, data: FitData) -> Task:
    fingerprint = (data.examples or data.train).fingerprint()  # type: ignore[union-attr]
    return Task(
        model=model,
        batches=data.train,
        validation=data.validation,
        sample=_shown(data.examples, lambda: data.train.epoch(0), SAMPLE),
        shown=None if data.validation is None else _shown(data.held_out, lambda: data.validation, SHOWN),
        test=None,
        data=data.name,
        fingerprint=fingerprint,
        digest=zlib.crc32(fingerprint.encode()),
        validation_examples=None if data.held_out is None else data.held_out.examples,
        validates_average=False,
    )


def _shown(parts: Parts | None, dataset: Callable[[], tf.data.Dataset], count: int) -> Examples:
    """Return the first examples, which TensorBoard shows."""
    if parts is None or not parts.are_dense:
        return Examples.of(dataset(), count)
    return Examples(*parts.part(0, count).padded)
