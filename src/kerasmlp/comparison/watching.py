"""What a loop does that its callbacks do not hear: the batches it draws, the optimizers it uses.

Keras and TensorFlow have no hooks for that, so two of their methods are wrapped while the loop runs.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, Self

import keras
import tensorflow as tf

from kerasmlp.comparison.reference import assign, values
from kerasmlp.comparison.verdict import State
from kerasmlp.models import optimizers


@contextlib.contextmanager
def drawing(
    before: Callable[[], None], after: Callable[[Any], None], but_of: tf.data.Dataset | None = None
) -> Iterator[None]:
    """A context in which `before` is called before Python takes a batch from a dataset, `after` with it.

    What iterators in graphs deliver is not seen, and batches of `but_of` are left out.
    """
    # The class of iterators in Python. Not at import: processes fork before TensorFlow is used.
    iterators: Any = type(iter(tf.data.Dataset.range(0)))
    original = iterators.__next__
    depth = 0

    @functools.wraps(original)
    def wrapped(iterator: Any) -> Any:
        nonlocal depth
        if depth or not tf.executing_eagerly():
            return original(iterator)
        if _reads(getattr(iterator, "_dataset", None), but_of):
            return original(iterator)
        depth += 1
        try:
            before()
            batch = original(iterator)
            after(batch)
        finally:
            depth -= 1
        return batch

    iterators.__next__ = wrapped
    try:
        yield
    finally:
        iterators.__next__ = original


def _reads(dataset: Any, source: tf.data.Dataset | None) -> bool:
    """Return whether `dataset` is `source`, or reads it."""
    if dataset is None or source is None:
        return False
    return dataset is source or any(_reads(each, source) for each in dataset._inputs())


class OwnOptimizers:
    """A context that records which other optimizers change weights: those that a loop makes itself.

    Attributes:
        found: the optimizers of the loop that train weights of the model, in the order of their first
            step.
        other_weights: paths of weights that are trained, but are not those of the model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._known = [*optimizers(model), getattr(model.optimizer, "inner_optimizer", model.optimizer)]
        self._initial: list[State] = []
        self.found: list[Any] = []
        self.other_weights: list[str] = []

    def __enter__(self) -> Self:
        self._apply = apply = keras.optimizers.Optimizer.apply

        @functools.wraps(apply)
        def record(optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
            self._record(optimizer, trainable_variables or ())
            return apply(optimizer, grads, trainable_variables)

        keras.optimizers.Optimizer.apply = record
        return self

    def __exit__(self, *_: object) -> None:
        keras.optimizers.Optimizer.apply = self._apply

    def reset(self) -> None:
        """Set the optimizers that were found to their state before their first step."""
        for optimizer, initial in zip(self.found, self._initial, strict=True):
            assign(optimizer.variables, initial)

    def initial(self, optimizer: Any) -> State:
        """Return the variables of an optimizer before its first step; none if it is not known."""
        for found, state in zip(self.found, self._initial, strict=True):
            if found is optimizer:
                return state
        return []

    def iterations(self) -> int:
        """Return how often all optimizers that are known were applied so far."""
        return sum(
            int(variable)
            for optimizer in (self._model.optimizer, *self.found)
            for variable in optimizer.variables
            if variable.path.endswith("iteration")
        )

    def _record(self, optimizer: Any, trained: Any) -> None:
        if any(optimizer is each for each in (*self._known, *self.found)):
            return
        weights = {id(weight) for weight in self._model.weights}
        if not any(id(each) in weights for each in trained):
            self.other_weights += [getattr(each, "path", "a variable") for each in trained]
            return
        with tf.init_scope():
            if not optimizer.built:
                optimizer.build(list(trained))
            self._initial.append(values(optimizer.variables))
        self.found.append(optimizer)
