"""The epochs of a hand-written loop: executions, validation, and the hooks of the callbacks."""

from collections.abc import Callable
from typing import Any

from kerasmlp.loops.callback_list import CallbackList
from kerasmlp.loops.interface import History, Logs, Training, TrainingData, build_metrics

Execute = Callable[[int], Logs]
"""Takes that many steps, the next ones of an epoch, and returns the metrics after them."""


def by_batches(
    train: TrainingData, run_steps: Callable[[Any, int], Logs]
) -> Callable[[int, int], Execute]:
    """Return a function that starts an epoch at a step. `run_steps` takes an iterator over batches."""

    def begin(epoch: int, first_step: int) -> Execute:
        batches = iter(train.epoch(epoch, first_step))
        return lambda steps: run_steps(batches, steps)

    return begin


def run_epochs(
    training: Training, callbacks: CallbackList, begin_epoch: Callable[[int, int], Execute]
) -> History:
    """Run all epochs. The callbacks hear what they hear from `fit`."""
    model, steps_per_epoch = training.model, training.train.steps_per_epoch
    group = model.steps_per_execution
    first = training.initial_step_in_epoch
    if first:
        build_metrics(model, training.train)
    epoch_logs: Logs = {}
    model.stop_training = False
    callbacks.on_train_begin()
    for epoch in range(training.initial_epoch, training.epochs):
        model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        execute = begin_epoch(epoch, first)
        while first < steps_per_epoch:
            end = (first // group + 1) * group
            callbacks.on_train_batch_begin(first)
            logs = execute(min(end, steps_per_epoch) - first)
            callbacks.on_train_batch_end(end - 1, logs)
            first = end
            if model.stop_training:
                break
        first = 0
        epoch_logs = dict(model.get_metrics_result())
        if training.validation is not None:
            results = model.evaluate(
                training.validation, callbacks=callbacks, return_dict=True, verbose=0
            )
            epoch_logs.update({f"val_{name}": value for name, value in results.items()})
        callbacks.on_epoch_end(epoch, epoch_logs)
        if model.stop_training:
            break
    model.optimizer.finalize_variable_values(model.trainable_variables)
    callbacks.on_train_end(epoch_logs)
    return model.history.history
