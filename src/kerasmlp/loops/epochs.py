"""The epochs of a hand-written loop: executions, validation, and the hooks of the callbacks."""

from kerasmlp.keras_internals import take_initial_epoch
from kerasmlp.loops.callback_list import CallbackList
from kerasmlp.loops.interface import History, Training, build_metrics
from kerasmlp.loops.step import Logs


def run_epochs(training: Training, callbacks: CallbackList) -> History:
    """Run all epochs with `model.train_function`. The callbacks hear what they hear from `fit`."""
    model, steps_per_epoch = training.model, training.train.steps_per_epoch
    group = model.steps_per_execution
    if training.initial_step_in_epoch:
        build_metrics(model, training.train)
    model.stop_training = False
    model.make_train_function()
    callbacks.on_train_begin()
    logs: Logs = {}
    epoch_logs: Logs = {}
    for epoch in range(take_initial_epoch(model) or training.initial_epoch, training.epochs):
        model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        for batch in range(0, steps_per_epoch, group):
            callbacks.on_train_batch_begin(batch)
            if callbacks.execution is None:  # the run is resumed after it
                continue
            logs = model.train_function()
            callbacks.on_train_batch_end(batch + group - 1, logs)
            if model.stop_training:
                break
        results = model.get_metrics_result()
        # As in `fit`: what `train_step` returns is not always what the metrics have.
        epoch_logs = dict(results if results.keys() == logs.keys() else logs)
        if training.validates_after(epoch):
            evaluated = model.evaluate(
                training.validation, callbacks=callbacks, return_dict=True, verbose=0
            )
            epoch_logs.update({f"val_{name}": value for name, value in evaluated.items()})
        callbacks.on_epoch_end(epoch, epoch_logs)
        if model.stop_training:
            break
    if model.optimizer is not None and training.epochs > 0:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    callbacks.on_train_end(epoch_logs)
    return model.history.history
