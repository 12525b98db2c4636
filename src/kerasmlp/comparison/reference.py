"""Keras' own train step, taken from any state: what the steps of a loop are compared with."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.comparison.verdict import State
from kerasmlp.data import unpacked
from kerasmlp.models import optimizers, plain_variables

Batch = Any
"""A batch as a dataset delivers it: x, `(x, y)` or `(x, y, sample_weight)`."""


def own_gradients(model: keras.Model, batch: Batch) -> list[Any]:
    """Return the gradients of the trainable variables, as the optimizer expects them."""
    return loops.compute_gradients(model, *unpacked(batch))[2]


def dense(gradients: list[Any]) -> list[Any]:
    """Return the gradients as tensors: the gradient of an `Embedding` comes as its non-zero rows."""
    return [None if each is None else tf.convert_to_tensor(each) for each in gradients]


def apply_gradients(model: keras.Model, gradients: list[Any]) -> None:
    """Change the weights with the optimizer of the model."""
    model.optimizer.apply(gradients, model.trainable_variables)


@dataclasses.dataclass(frozen=True)
class Step:
    """A train step, without its metrics: the gradients, then the update, then whatever is `after`."""

    gradients: Callable[[keras.Model, Batch], list[Any]] = own_gradients
    apply: Callable[[keras.Model, list[Any]], None] = apply_gradients
    after: Callable[[keras.Model, Batch], None] | None = None

    def take(self, model: keras.Model, batch: Batch, between: Callable[[], None] | None = None) -> None:
        """Take the step. `between` is called before the update."""
        if loops.has_own_step(model):
            self._take_own(model, batch, between)
            return
        gradients = self.gradients(model, batch)
        if between:
            between()
        self.apply(model, gradients)
        if self.after:
            self.after(model, batch)

    def _take_own(self, model: keras.Model, batch: Batch, between: Callable[[], None] | None) -> None:
        """Take the `train_step` of the model's class. Its gradients are what it applies."""
        if self is not RIGHT:
            raise ValueError("this step is not known for a model with its own train_step")
        calls = [between] if between else []
        with calls_before_apply(model, lambda: calls.pop()() if calls else None):
            model.train_step(batch)


RIGHT = Step()
"""The step that `fit` takes, without its metrics."""


@contextlib.contextmanager
def calls_before_apply(model: keras.Model, call: Callable[[], None]) -> Iterator[None]:
    """A context in which `call` is called before an optimizer of `model` changes weights."""

    def calling(apply: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(apply)
        def wrapped(*args: Any, **named: Any) -> Any:
            call()
            return apply(*args, **named)

        return wrapped

    found = optimizers(model)
    for optimizer in found:
        optimizer.apply = calling(optimizer.apply)
    try:
        yield
    finally:
        for optimizer in found:
            del optimizer.apply


def variables(model: keras.Model) -> list[Any]:
    """Return what a step changes, without metrics: weights, statistics, seeds, optimizer variables."""
    own = [variable for optimizer in optimizers(model) for variable in optimizer.variables]
    return [*model.variables, *plain_variables(model), *own]


def state(model: keras.Model) -> State:
    """Return the values of `variables`."""
    return values(variables(model))


def values(of: Sequence[Any]) -> State:
    """Return the values of variables."""
    return [variable.numpy() for variable in of]


def restore(model: keras.Model, to: State) -> None:
    """Set `variables` to these values."""
    assign(variables(model), to)


def assign(variables: Sequence[Any], values: Sequence[Any]) -> None:
    """Set each variable to its value."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


class Reference:
    """Takes Keras' own train step from any state.

    Attributes:
        model: compiled and built. It belongs to this object, and has the metrics of its steps.
        validation: batches to evaluate on at the end of each epoch; None for no validation.
        drives: whether callbacks drive the training, as those of the loop do.
        variables: what a state has the values of; the variables of the model come first.
        paths: the paths of `variables`.
        weights: number of variables of the model.
        train_step: takes one step on a batch, metrics included.
    """

    def __init__(
        self,
        model: keras.Model,
        new_callbacks: Callable[[], list[keras.callbacks.Callback]] = list,
        validation: tf.data.Dataset | None = None,
        **params: int,
    ) -> None:
        self.model, self.validation = model, validation
        self._new_callbacks, self._params = new_callbacks, params
        self.drives = bool(new_callbacks())
        self.variables = variables(model)
        self.weights = len(model.variables)
        self.paths = [variable.path for variable in self.variables]
        self.train_step = tf.function(
            model.train_step,
            jit_compile=model.jit_compile,
            autograph=False,
            reduce_retracing=True,
        )

    def train(self, before: State, batches: Sequence[Batch]) -> State:
        """Return the state after one step on each batch, starting from `before`."""
        self.restore(before)
        for batch in batches:
            self.train_step(batch)
        return values(self.variables)

    def restore(self, to: State) -> None:
        assign(self.variables, to)

    def hear(self, at: State, hook: str, *arguments: Any) -> State:
        """Return the state after the callbacks heard a hook in the state `at`.

        A training has callbacks of its own: `train_begin` makes them.
        """
        if not self.drives:
            return at
        self.restore(at)
        if hook == "train_begin":
            self.model.stop_training = False
            self._callbacks = keras.callbacks.CallbackList(
                self._new_callbacks(), model=self.model, verbose=0, **self._params
            )
        getattr(self._callbacks, f"on_{hook}")(*arguments)
        return values(self.variables)

    def validate(self, at: State) -> tuple[State, dict[str, float]]:
        """Evaluate on the validation data in the state `at`, as `fit` does at the end of an epoch.

        Return the state after it, which callbacks may have changed, and the metrics as `fit` names them.
        """
        if self.validation is None:
            return at, {}
        self.restore(at)
        heard = self._callbacks if self.drives else None
        found = self.model.evaluate(self.validation, callbacks=heard, return_dict=True, verbose=0)
        metrics = {f"val_{name}": float(value) for name, value in found.items()}
        return values(self.variables) if self.drives else at, metrics

    def finalize(self, at: State) -> State:
        """Return the state at the end of a training, after a last step that ends in `at`."""
        self.restore(at)
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        return values(self.variables)

    def take(self, step: Step, before: State, batches: Sequence[Batch]) -> State:
        """Return the state after `step` on each batch, starting from `before`. Metrics are unchanged."""
        self.restore(before)
        for batch in batches:
            step.take(self.model, batch)
        return values(self.variables)
