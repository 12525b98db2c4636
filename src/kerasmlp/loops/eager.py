"""The `eager` loop: the same train step without `tf.function`, as in the handbook."""

from typing import Any

from kerasmlp.loops.callback_list import CallbackList
from kerasmlp.loops.epochs import by_batches, run_epochs
from kerasmlp.loops.interface import History, ResumableLoop, Training
from kerasmlp.loops.step import parts, train_step


@ResumableLoop
def eager(training: Training) -> History:
    """Train with `train_step`, operation by operation."""
    model = training.model

    def run_steps(batches: Any, steps: int) -> dict[str, Any]:
        for _ in range(steps):
            train_step(model, *parts(next(batches)))
        return model.get_metrics_result()

    return run_epochs(training, CallbackList(training), by_batches(training.train, run_steps))
