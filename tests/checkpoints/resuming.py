"""Trains with a `Checkpoint`, breaks off, goes on with new objects, and says what came of it."""

import contextlib
import functools
import signal

import keras
import numpy as np

from helpers import LOOPS, bits, compiled, datasets, events, state, validation_batches
from kerasmlp.callbacks import Interrupted, Interruption
from kerasmlp.checkpoints import Checkpoint, Checkpoints, put_variables
from kerasmlp.data import Batches
from kerasmlp.loops import build
from small_models import dropout

STEPS, EPOCHS = 4, 3
"""Of a training: 40 examples by 10."""


class CrashError(Exception):
    pass


class BreakOff(keras.callbacks.Callback):
    """Ends the training at a step, or after that epoch if it is the last one of an epoch.

    A signal lets the `Checkpoint` after it save. A crash does not, as SIGKILL does not.
    """

    def __init__(self, step, interruption):
        super().__init__()
        self.step, self.interruption = step, interruption

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self._reached(self.epoch * STEPS + batch + 1, batch + 1 < STEPS)

    def on_epoch_end(self, epoch, logs=None):
        self._reached((epoch + 1) * STEPS, True)

    def _reached(self, step, here):
        if step == self.step and here:
            if self.interruption is None:
                raise CrashError
            self.interruption.received = signal.SIGTERM


class Steps(keras.callbacks.Callback):
    """A user's callback: the learning rate of each step, and how many epochs have begun."""

    checkpointed = ("rates", "begun")

    def on_train_begin(self, logs=None):
        self.rates, self.begun = [], np.zeros(1, int)

    def on_epoch_begin(self, epoch, logs=None):
        self.begun += 1  # in place

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


with_dropout = functools.partial(compiled, dropout)


def train(
    loop,
    digits,
    folder,
    callbacks,
    *,
    every=3,
    step=None,
    crash=False,
    epochs=EPOCHS,
    make=with_dropout,
    **options,
):
    """Begin a training or go on with it, up to `step`; return its model, History and callbacks."""
    images, labels = digits
    keras.utils.clear_session(free_memory=False)
    model = make(**options)
    batches = Batches(images, labels, 10, seed=5)
    build(model, batches)
    interruption = Interruption()
    with contextlib.closing(Checkpoints(folder / "checkpoints", keep=99)) as files:
        resumed, initial_step = files.newest(), 0
        if resumed is not None:
            put_variables(model, resumed.arrays, "model", "optimizer")
            initial_step = epochs * STEPS if resumed.state["stopped"] else resumed.state["step"]
        others = [Steps(), *callbacks(folder), keras.callbacks.History()]
        checkpoint = Checkpoint(files, (every, "step"), "val_loss", others, dict, interruption, resumed)
        heard = [*others, BreakOff(step, None if crash else interruption), checkpoint]
        validation = validation_batches(digits, examples=10, batch_size=10)
        try:
            history = LOOPS[loop](model, batches, validation, epochs, heard, initial_step)
        except BaseException:
            for callback in others:  # Keras leaves their files open
                with contextlib.suppress(Exception):
                    callback.on_train_end()
            raise
    return model, history, heard


def outcome(loop, digits, folder, callbacks, *, step=None, **options):
    """What a training has led to: at once, or broken off at `step` and resumed."""
    folder.mkdir()
    if step is not None:
        try:
            train(loop, digits, folder, callbacks, step=step, **options)
        except (CrashError, Interrupted):
            pass
        else:
            raise AssertionError("the training was not broken off")
    options.pop("crash", None)
    model, history, (steps, *_, checkpoint) = train(loop, digits, folder, callbacks, **options)
    return {
        "weights": [(array.dtype.str, array.tobytes()) for array in state(model)],
        "best": [array.tobytes() for array in checkpoint.best_weights],
        "history": history,
        "steps": (steps.rates, steps.begun.tolist()),
        "files": written(folder),
    }


def written(folder):
    """The files that the callbacks have written, with what they hold."""
    files = {path.name: path.read_text() for path in folder.glob("*.csv")}
    files |= {path.name: datasets(path) for path in folder.glob("*.weights.h5")}
    files |= {
        key: {step: None if "graph" in key[1] else bits(value) for step, value in values.items()}
        for key, values in events(folder).items()
    }
    return files
