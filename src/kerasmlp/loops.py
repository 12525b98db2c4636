"""The training loops: `fit`, `graph` and `eager`. All that a loop decides is here.

A loop takes any compiled Keras model and drives the same callbacks over the same batches; it saves,
prints and logs nothing of its own. What `compile` was given (optimizer, loss, metrics, `jit_compile`,
`steps_per_execution`) is used by each of them as Keras' `fit` uses it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import keras
import tensorflow as tf

from kerasmlp import execution

Logs = dict[str, Any]
History = dict[str, list[float]]


class TrainingData(Protocol):
    """What a loop trains on: epochs whose batches follow from their number alone."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""

    def epoch(self, epoch: int | tf.Variable) -> tf.data.Dataset:
        """Return the batches of one epoch: tuples `(x, y)` or `(x, y, sample_weight)`."""


class Loop(Protocol):
    """Trains `model` for `epochs`, and returns the metrics of each epoch, by name."""

    def __call__(
        self,
        model: keras.Model,
        train: TrainingData,
        validation: tf.data.Dataset | None,
        epochs: int,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> History: ...


def compute_gradients(
    model: keras.Model, x: Any, y: Any, sample_weight: Any = None
) -> tuple[tf.Tensor, Any, list[tf.Tensor]]:
    """Return the loss of a batch, the predictions, and the gradients by the trainable variables.

    The loss includes what layers add (regularisation). Under mixed precision the gradients are those
    of the scaled loss, as the optimizer expects them.
    """
    with tf.GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = model.compute_loss(x, y, y_pred, sample_weight, training=True)
        scaled_loss = model.optimizer.scale_loss(loss)
    return loss, y_pred, tape.gradient(scaled_loss, model.trainable_variables)


def train_step(model: keras.Model, x: Any, y: Any, sample_weight: Any = None) -> tf.Tensor:
    """Train `model` on one batch, and return its loss, a scalar: the handbook's step."""
    loss, y_pred, gradients = compute_gradients(model, x, y, sample_weight)
    model.optimizer.apply(gradients, model.trainable_variables)
    update_metrics(model, loss, x, y, y_pred, sample_weight)
    return loss


def update_metrics(
    model: keras.Model, loss: tf.Tensor, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
) -> None:
    """Take a batch into the compiled metrics and the mean loss of `model`."""
    # The mean loss of an epoch is over its examples: a smaller last batch weighs less.
    batch_size = tf.shape(tf.nest.flatten(x)[0])[0]
    for metric in model.metrics:
        if metric.name == "loss":
            metric.update_state(loss, sample_weight=batch_size)
    model.compute_metrics(x, y, y_pred, sample_weight)


def fit(
    model: keras.Model,
    train: TrainingData,
    validation: tf.data.Dataset | None,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> History:
    """Train with Keras' own `model.fit`."""
    build(model, train)
    # Keras opens the dataset more often than once an epoch, so the dataset must not count its
    # openings: it reads the epoch that it stands for.
    epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
    follow = keras.callbacks.LambdaCallback(on_epoch_begin=lambda number, logs: epoch.assign(number))
    hooks = _callback_list(model, train, epochs, [follow, *callbacks])
    options = {"validation_data": validation, "epochs": epochs, "callbacks": hooks}
    options |= {"shuffle": False, "verbose": 0}
    program = execution.program(model, lambda model, *batch: model.train_step(batch), train)
    if program is None:
        return model.fit(train.epoch(epoch), **options).history
    with _train_function(model, program):
        return model.fit(program.groups, steps_per_epoch=train.steps_per_epoch, **options).history


def graph(
    model: keras.Model,
    train: TrainingData,
    validation: tf.data.Dataset | None,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> History:
    """Train with `train_step` under `tf.function`, traced once."""
    return traced(train_step)(model, train, validation, epochs, callbacks)


def traced(step: execution.TrainStep) -> Loop:
    """Return the loop that trains with `step`, a function as `train_step` is, under `tf.function`."""

    def loop(
        model: keras.Model,
        train: TrainingData,
        validation: tf.data.Dataset | None,
        epochs: int,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> History:
        build(model, train)
        hooks = _callback_list(model, train, epochs, callbacks)
        program = execution.program(model, step, train)
        if program is None:
            begin_epoch = _by_batches(train, execution.compiled(model, step))
            return _drive(model, train, validation, epochs, hooks, begin_epoch)
        groups = iter(program.groups)
        with _train_function(model, program):
            return _drive(
                model, train, validation, epochs, hooks, lambda epoch: lambda steps: program(groups)
            )

    return loop


def eager(
    model: keras.Model,
    train: TrainingData,
    validation: tf.data.Dataset | None,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> History:
    """Train with `train_step` as it stands, op by op: the handbook's loop."""
    build(model, train)
    hooks = _callback_list(model, train, epochs, callbacks)
    run_steps = execution.uncompiled(model, train_step)
    return _drive(model, train, validation, epochs, hooks, _by_batches(train, run_steps))


LOOPS: dict[str, Loop] = {"fit": fit, "graph": graph, "eager": eager}


def build(model: keras.Model, train: TrainingData) -> None:
    """Create all variables before the first trace, so that one trace serves the whole run."""
    if not model.built:
        x = train.epoch(0).element_spec[0]
        model(tf.nest.map_structure(lambda spec: keras.KerasTensor(spec.shape, spec.dtype), x))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _callback_list(
    model: keras.Model,
    train: TrainingData,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> keras.callbacks.CallbackList:
    """Return what `fit` makes of `callbacks`; they know the model before its step is traced."""
    return keras.callbacks.CallbackList(
        list(callbacks),
        add_history=True,
        model=model,
        epochs=epochs,
        steps=train.steps_per_epoch,
        verbose=0,
    )


@contextmanager
def _train_function(model: keras.Model, program: execution.Program) -> Iterator[None]:
    """Let `program` be what `fit` calls for each execution, and what callbacks see of it."""
    model.make_train_function = lambda force=False: None  # it would make Keras' own
    model.train_function = program
    try:
        yield
    finally:
        del model.make_train_function
        model.train_function = None


Execute = Callable[[int], Logs]
"""Takes so many steps of an epoch, the next ones, and returns the metrics after them."""


def _by_batches(train: TrainingData, run_steps: execution.RunSteps) -> Callable[[int], Execute]:
    """Return what begins an epoch for `run_steps`."""

    def begin(epoch: int) -> Execute:
        batches = iter(train.epoch(epoch))
        return lambda steps: run_steps(batches, steps)

    return begin


def _drive(
    model: keras.Model,
    train: TrainingData,
    validation: tf.data.Dataset | None,
    epochs: int,
    hooks: keras.callbacks.CallbackList,
    begin_epoch: Callable[[int], Execute],
) -> History:
    """Run the epochs of a hand-written loop; callbacks hear what they hear from `fit`."""
    group = model.steps_per_execution
    epoch_logs: Logs = {}
    model.stop_training = False
    hooks.on_train_begin()
    for epoch in range(epochs):
        model.reset_metrics()
        hooks.on_epoch_begin(epoch)
        execute = begin_epoch(epoch)
        for first in range(0, train.steps_per_epoch, group):
            hooks.on_train_batch_begin(first)
            logs = execute(min(group, train.steps_per_epoch - first))
            hooks.on_train_batch_end(first + group - 1, logs)
            if model.stop_training:
                break
        epoch_logs = dict(model.get_metrics_result())
        if validation is not None:
            results = model.evaluate(validation, callbacks=hooks, return_dict=True, verbose=0)
            epoch_logs.update({f"val_{name}": value for name, value in results.items()})
        hooks.on_epoch_end(epoch, epoch_logs)
        if model.stop_training:
            break
    model.optimizer.finalize_variable_values(model.trainable_variables)
    hooks.on_train_end(epoch_logs)
    return model.history.history
