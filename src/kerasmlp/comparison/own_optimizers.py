"""The optimizers that a loop makes for itself, as most published loops do."""

import functools
from typing import Any, Self

import keras
import tensorflow as tf

from kerasmlp.comparison.reference import assign
from kerasmlp.comparison.verdict import State


class OwnOptimizers:
    """A context that records which optimizers, other than its own, change the weights of a model.

    Keras has no hook for that, so `Optimizer.apply` is wrapped while the loop runs.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._found: dict[int, tuple[Any, State]] = {}

    def __enter__(self) -> Self:
        self._apply = apply = keras.optimizers.Optimizer.apply

        @functools.wraps(apply)
        def record(optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
            self._record(optimizer, trainable_variables)
            return apply(optimizer, grads, trainable_variables)

        keras.optimizers.Optimizer.apply = record
        return self

    def __exit__(self, *_: object) -> None:
        keras.optimizers.Optimizer.apply = self._apply

    def reset(self) -> None:
        """Set the optimizers that were found to their state before their first step."""
        for optimizer, initial in self._found.values():
            assign(optimizer.variables, initial)

    def _record(self, optimizer: Any, variables: Any) -> None:
        own = self._model.optimizer
        known = {id(own), id(getattr(own, "inner_optimizer", own)), *self._found}
        weights = {id(weight) for weight in self._model.trainable_variables}
        if id(optimizer) in known or not any(id(each) in weights for each in variables or ()):
            return
        with tf.init_scope():
            if not optimizer.built:
                optimizer.build(list(variables))
            values = [variable.numpy() for variable in optimizer.variables]
        self._found[id(optimizer)] = optimizer, values
