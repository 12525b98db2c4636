"""What a checkpoint holds of a callback, and which callbacks cannot be resumed.

All names of Keras' attributes that Keras does not document are here. They are those of Keras 3.15.
"""

import sys
from collections.abc import Sequence
from itertools import chain
from typing import Any

from keras import callbacks

_MONITOR = ("best", "monitor_op", "min_delta")

ATTRIBUTES: dict[type, tuple[str, ...]] = {
    callbacks.Callback: (),
    callbacks.CSVLogger: ("keys",),
    callbacks.EarlyStopping: (*_MONITOR, "wait", "stopped_epoch", "best_epoch", "best_weights"),
    callbacks.History: ("epoch", "history"),
    callbacks.LearningRateScheduler: (),
    callbacks.ModelCheckpoint: (*_MONITOR, "_batches_seen_since_last_saving", "_last_batch_seen"),
    callbacks.ProgbarLogger: (),
    callbacks.ReduceLROnPlateau: (*_MONITOR, "wait", "cooldown_counter"),
    callbacks.RemoteMonitor: (),
    callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
    callbacks.TensorBoard: ("_global_train_batch", "_global_test_batch"),
    callbacks.TerminateOnNaN: (),
}
"""The attributes of Keras' callbacks that change while a model is trained."""

REFUSED: dict[type, str] = {
    callbacks.BackupAndRestore: (
        "it restores another state than the checkpoint; leave it out: a run is resumed from its own"
        " checkpoints"
    ),
    callbacks.CallbackList: "its callbacks cannot be seen; give the callbacks themselves, in a list",
    callbacks.OrbaxCheckpoint: (
        "it does not save a step twice, as a run that goes on from an earlier step must; use"
        " keras.callbacks.ModelCheckpoint"
    ),
}
"""Keras' callbacks that a resumed run cannot have: why, and what to use instead."""

Callbacks = Sequence[callbacks.Callback]


def attributes(callback: callbacks.Callback) -> list[str]:
    """Return the names of the attributes of a callback that a checkpoint holds.

    They are those of its Keras class, and what `checkpointed` names in its class, the classes that this
    one inherits from, and the callback itself.

    Raises:
        TypeError: a `checkpointed` is no tuple or list of names.
    """
    of_keras = (names for kind, names in ATTRIBUTES.items() if isinstance(callback, kind))
    own = [vars(owner).get("checkpointed", ()) for owner in (*type(callback).__mro__, callback)]
    for names in own:
        if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
            raise TypeError(
                f"{type(callback).__name__}.checkpointed: expected a tuple of the names of attributes,"
                f" such as ('count',); received {names!r}"
            )
    return list(dict.fromkeys(chain(*of_keras, *own)))


def value(callback: callbacks.Callback, name: str) -> Any:
    """Return an attribute of a callback.

    Raises:
        TypeError: it has none of that name.
    """
    try:
        return getattr(callback, name)
    except AttributeError:
        raise TypeError(
            f"{type(callback).__name__}: expected an attribute {name!r}, which a checkpoint holds; it"
            " has none; set it in __init__, or do not name it in `checkpointed`; if Keras renamed it,"
            " use Keras 3.15"
        ) from None


def check_known(others: Callbacks) -> None:
    """Check that the state of each callback is known.

    A line on standard error names each class whose state is not.

    Raises:
        ValueError: a run with such a callback cannot be resumed.
    """
    for callback in others:
        for kind, reason in REFUSED.items():
            if isinstance(callback, kind):
                raise ValueError(f"expected no callback {type(callback).__name__}: {reason}")
    for name in dict.fromkeys(type(callback).__name__ for callback in others if not _known(callback)):
        print(
            f"warning: callback {name}: if it changes while the model is trained, a resumed run differs;"
            ' name the attributes that change in its class: checkpointed = ("count",);'
            " checkpointed = () says that there are none",
            file=sys.stderr,
        )


def averages_in_model(others: Callbacks) -> bool:
    """Return whether `SwapEMAWeights` has swapped the weights of the model for their averages."""
    swaps = (callback for callback in others if isinstance(callback, callbacks.SwapEMAWeights))
    return any(value(callback, "_ema_weights_in_model") for callback in swaps)


def flush_events(callback: callbacks.TensorBoard) -> None:
    """Write all events that Keras' `TensorBoard` has made to its files."""
    for writer in value(callback, "_writers").values():
        writer.flush()


def _known(callback: callbacks.Callback) -> bool:
    kind = type(callback)
    of_this_package = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
    return of_this_package or kind in ATTRIBUTES or hasattr(callback, "checkpointed")
