"""A sample of the training examples, and what the dashboards show of the model on it."""

from collections.abc import Callable
from typing import Any, Self

import keras
from numpy.typing import NDArray

from kerasmlp.data import Examples
from kerasmlp.models import averaged_weights
from kerasmlp.tensorboard import notes


class Sample:
    """Evaluates a model on training examples. With averaged weights, it evaluates those.

    Some models cannot be evaluated: one with a `train_step` of its own may have no `compute_loss`. What
    cannot be computed is left out, and a note on standard error says so once.
    """

    def __init__(self, examples: Examples) -> None:
        self.examples = examples
        self._left_out: set[str] = set()

    def at(self, step: int) -> Self:
        """Return this sample, for a training step."""
        self.examples.at(step)
        return self

    def metrics(self, model: keras.Model) -> dict[str, float]:
        """Return the metrics, and the loss that the gradients have."""
        metrics = self._tried("metrics of a sample", model, self.examples.metrics) or {}
        loss_and_gradients = self._tried("gradients", model, self.examples.gradients)
        return metrics if loss_and_gradients is None else metrics | {"loss": loss_and_gradients[0]}

    def gradients(self, model: keras.Model) -> dict[str, NDArray[Any]]:
        """Return the gradients by the names that `trainable_weights` has."""
        found = self._tried("gradients", model, self.examples.gradients)
        return {} if found is None else dict(zip(trainable_weights(model), found[1], strict=True))

    def _tried(self, what: str, model: keras.Model, compute: Callable[[keras.Model], Any]) -> Any:
        if what not in self._left_out:
            try:
                with averaged_weights(model):
                    return compute(model)
            except Exception as error:  # of the model's own code: any
                self._left_out.add(what)
                notes.left_out(what, error)
        return None


def trainable_weights(model: keras.Model) -> dict[str, NDArray[Any]]:
    """Return the trainable weights by their path, without the name of the model.

    The second and later weights of the same path get a number: `path_1`.
    """
    weights: dict[str, NDArray[Any]] = {}
    for variable in model.trainable_variables:
        path = name = variable.path.removeprefix(f"{model.name}/")
        number = 0
        while name in weights:
            number += 1
            name = f"{path}_{number}"
        weights[name] = variable.numpy()
    return weights
