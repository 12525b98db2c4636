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
from kerasmlp.hooks import Hooks, Logs, TrainingData

History = dict[str, list[float]]


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


class ResumableLoop(Protocol):
    """A loop that can begin at any step: `initial_step`, from 0, counted over all epochs.

    Model, optimizer and callbacks are to be as the steps before left them; the metrics as well, once
    the first epoch has begun. Executions end where they end in a run from the start.
    """

    def __call__(
        self,
        model: keras.Model,
        train: TrainingData,
        validation: tf.data.Dataset | None,
        epochs: int,
        callbacks: Sequence[keras.callbacks.Callback],
        initial_step: int = 0,
    ) -> History: ...


def compute_gradients(
    model: keras.Model,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    compute_loss: Callable[..., tf.Tensor] | None = None,
) -> tuple[tf.Tensor, Any, list[tf.Tensor]]:
    """Return the loss of a batch, the predictions, and the gradients by the trainable variables.

    The loss includes what layers add (regularisation). Under mixed precision the gradients are those
    of the scaled loss, as the optimizer expects them. `compute_loss` is the model's if not given.
    """
    compute_loss = compute_loss or model.compute_loss
    with tf.GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = compute_loss(x, y, y_pred, sample_weight, training=True)
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
    initial_step: int = 0,
) -> History:
    """Train with Keras' own `model.fit`."""
    build(model, train)
    # Keras opens the dataset more often than once an epoch, so the dataset must not count its
    # openings: it reads the epoch that it stands for.
    epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
    follow = keras.callbacks.LambdaCallback(on_epoch_begin=lambda number, logs: epoch.assign(number))
    hooks = Hooks([follow, *callbacks], model, train, epochs, initial_step)
    options = {"validation_data": validation, "epochs": epochs, "callbacks": hooks}
    options |= {"initial_epoch": hooks.initial_epoch, "shuffle": False, "verbose": 0}
    program = execution.program(
        model, lambda model, *batch: model.train_step(batch), train, initial_step
    )
    if program is not None:
        options["steps_per_epoch"] = train.steps_per_epoch
        with _train_function(model, hooks.left_out(program, by_batches=False)):
            return model.fit(program.groups, **options).history
    if hooks.initial_step_in_epoch:
        # Keras' own function, but on batches that begin within an epoch.
        _build_metrics(model, train)
        model.make_train_function()
        with _train_function(model, hooks.left_out(model.train_function, by_batches=True)):
            return model.fit(train.epoch(epoch), **options).history
    return model.fit(train.epoch(epoch), **options).history


def graph(
    model: keras.Model,
    train: TrainingData,
    validation: tf.data.Dataset | None,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
    initial_step: int = 0,
) -> History:
    """Train with `train_step` under `tf.function`, traced once."""
    return traced(train_step)(model, train, validation, epochs, callbacks, initial_step)


def traced(step: execution.TrainStep) -> ResumableLoop:
    """Return the loop that trains with `step`, a function as `train_step` is, under `tf.function`."""

    def loop(
        model: keras.Model,
        train: TrainingData,
        validation: tf.data.Dataset | None,
        epochs: int,
        callbacks: Sequence[keras.callbacks.Callback],
        initial_step: int = 0,
    ) -> History:
        build(model, train)
        hooks = Hooks(callbacks, model, train, epochs, initial_step)
        program = execution.program(model, step, train, initial_step)
        if program is None:
            begin_epoch = _by_batches(train, execution.compiled(model, step))
            return _drive(model, train, validation, epochs, hooks, begin_epoch)
        groups = iter(program.groups)
        with _train_function(model, program):
            return _drive(
                model, train, validation, epochs, hooks, lambda *_: lambda steps: program(groups)
            )

    return loop


def eager(
    model: keras.Model,
    train: TrainingData,
    validation: tf.data.Dataset | None,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
    initial_step: int = 0,
) -> History:
    """Train with `train_step` as it stands, op by op: the handbook's loop."""
    build(model, train)
    hooks = Hooks(callbacks, model, train, epochs, initial_step)
    run_steps = execution.uncompiled(model, train_step)
    return _drive(model, train, validation, epochs, hooks, _by_batches(train, run_steps))


LOOPS: dict[str, ResumableLoop] = {"fit": fit, "graph": graph, "eager": eager}


def build(model: keras.Model, train: TrainingData) -> None:
    """Create all variables before the first trace, so that one trace serves the whole run."""
    if not model.built:
        x = train.epoch(0).element_spec[0]
        model(tf.nest.map_structure(lambda spec: keras.KerasTensor(spec.shape, spec.dtype), x))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _build_metrics(model: keras.Model, train: TrainingData) -> None:
    """Create the variables of the metrics, which Keras does with the first batch."""
    evaluate = tf.function(lambda *batch: model.test_step(batch), autograph=False)
    evaluate.get_concrete_function(*train.epoch(0).element_spec)


@contextmanager
def _train_function(model: keras.Model, function: Callable[[Any], Logs]) -> Iterator[None]:
    """Let `function` be what `fit` calls for each execution, and what callbacks see of it."""
    model.make_train_function = lambda force=False: None  # it would make Keras' own
    model.train_function = function
    try:
        yield
    finally:
        del model.make_train_function
        model.train_function = None


Execute = Callable[[int], Logs]
"""Takes so many steps of an epoch, the next ones, and returns the metrics after them."""


def _by_batches(train: TrainingData, run_steps: execution.RunSteps) -> Callable[[int, int], Execute]:
    """Return what begins an epoch at a step for `run_steps`."""

    def begin(epoch: int, first_step: int) -> Execute:
        batches = iter(train.epoch(epoch, first_step))
        return lambda steps: run_steps(batches, steps)

    return begin


def _drive(
    model: keras.Model,
    train: TrainingData,
    validation: tf.data.Dataset | None,
    epochs: int,
    hooks: Hooks,
    begin_epoch: Callable[[int, int], Execute],
) -> History:
    """Run the epochs of a hand-written loop; callbacks hear what they hear from `fit`."""
    group = model.steps_per_execution
    first = hooks.initial_step_in_epoch
    if first:
        _build_metrics(model, train)
    epoch_logs: Logs = {}
    model.stop_training = False
    hooks.on_train_begin()
    for epoch in range(hooks.initial_epoch, epochs):
        model.reset_metrics()
        hooks.on_epoch_begin(epoch)
        execute = begin_epoch(epoch, first)
        while first < train.steps_per_epoch:
            end = (first // group + 1) * group
            hooks.on_train_batch_begin(first)
            logs = execute(min(end, train.steps_per_epoch) - first)
            hooks.on_train_batch_end(end - 1, logs)
            first = end
            if model.stop_training:
                break
        first = 0
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
