"""The dashboard PR Curves: precision against recall for each class."""

import keras
from tensorboard.plugins.pr_curve import summary as pr_curve

from kerasmlp.callbacks import Stopwatch
from kerasmlp.data import Examples
from kerasmlp.loops import Logs
from kerasmlp.models import averaged_weights
from kerasmlp.tensorboard import kind
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.images import is_shown


class PRCurves(keras.callbacks.Callback):
    """Writes precision against recall for each class to `validation`, at most for `kind.CLASSES`.

    With averaged weights, they are those of the averaged weights. Without validation, or if the examples
    are not classified (see `kind`), it writes nothing.
    """

    def __init__(self, events: Events, validation: Examples | None, stopwatch: Stopwatch) -> None:
        super().__init__()
        self._events, self._validation, self._stopwatch = events, validation, stopwatch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if is_shown(epoch) and self._validation is not None:
            step = self._stopwatch.step
            with averaged_weights(self.model):
                examples = self._validation.at(step)
                write_pr_curves(self._events, "validation", step, self.model, examples)


def write_pr_curves(
    events: Events,
    sub_run: str,
    step: int,
    model: keras.Model,
    examples: Examples,
    group: str = "pr",
) -> None:
    """Write precision against recall for each class of `examples`, if they are classified.

    The names of the tags begin with `group`.
    """
    found = kind.classified(model, examples)
    if found is None:
        return
    curves = {
        f"{group}/{number}": (found.labels == number, of_class)
        for number, of_class in enumerate(found.probabilities.T[: kind.CLASSES])
    }
    events.write(sub_run, step, lambda tag, curve, **text: pr_curve.pb(tag, *curve, **text), curves)
