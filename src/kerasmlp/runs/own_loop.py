"""A training loop of the user's, in `kerasmlp.fit`: what it returns is its history, and is recorded.

It hears the user's callbacks alone. It may call them as it likes, or not at all, so nothing else can be
known of what happens within it: its run has no checkpoints, and cannot be resumed.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerasmlp.callbacks import CSVLogger
from kerasmlp.loops import Loop
from kerasmlp.runs import run_folder, saved_model
from kerasmlp.runs.fit_data import FitData
from kerasmlp.runs.record import Record
from kerasmlp.runs.results import of_history
from kerasmlp.tensorboard import write_logs


def name(loop: Loop) -> str:
    """Return the name of a loop, as the settings of its run have it."""
    return getattr(loop, "__qualname__", type(loop).__qualname__)


def train(
    loop: Loop, model: keras.Model, data: FitData, epochs: int, callbacks: list[Any]
) -> keras.callbacks.History:
    """Call the loop. Return what it returns as Keras' `History`.

    Raises:
        ValueError: it returns something else than metrics by name, a list for each, or None.
    """
    returned = loop(model, data.train, data.validation, epochs, callbacks)
    metrics = getattr(returned, "history", returned)  # it may be a History
    metrics = {} if metrics is None else metrics
    if not isinstance(metrics, Mapping) or any(np.ndim(values) == 0 for values in metrics.values()):
        raise ValueError(
            "loop: expected it to return a dict with a list for each metric, one number for each epoch,"
            f" or None; received {returned!r:.80}"
        )
    history = keras.callbacks.History()
    history.set_model(model)
    history.history = {metric: list(values) for metric, values in metrics.items()}
    history.epoch = list(range(max(map(len, history.history.values()), default=0)))
    model.history = history
    return history


def train_into(
    record: Record, loop: Loop, model: keras.Model, data: FitData, epochs: int, callbacks: list[Any]
) -> dict[str, Any]:
    """Train, and write the history into the run folder. Return what was measured.

    If the loop fails, or is interrupted, the model is saved as it is then, as `interrupted.keras`.
    """
    try:
        history = train(loop, model, data, epochs, callbacks)
    except BaseException:
        saved_model.save(model, record.folder / run_folder.CHECKPOINTS / "interrupted.keras")
        raise
    steps = data.train.steps_per_epoch
    logger = CSVLogger(record.folder / run_folder.HISTORY, validates=False)
    logger.set_model(model)
    logger.on_train_begin()
    for epoch in history.epoch:
        named = history.history.items()
        logs = {metric: values[epoch] for metric, values in named if epoch < len(values)}
        logger.on_epoch_end(epoch, logs)
        write_logs(record.events, (epoch + 1) * steps, logs)
    logger.on_train_end()
    return {**of_history(history.history), "steps": epochs * steps}
