"""TODO"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from kerasmlp.comparison.names import imported

if TYPE_CHECKING:
    import keras

    from kerasmlp.comparison.row import Row


@dataclasses.dataclass(frozen=True)
class Start:
    """What every row starts from, and trains on.

    Attributes:
        make_model: returns the compiled model, or is the `package.module:name` of what does.
        train: images and labels.
        test: images and labels, for evaluation and predictions.
        batch_size: examples a step.
        seed: of the initial weights and of the order of the batches.
    """

    make_model: "str | Callable[[], keras.Model]"
    train: tuple[NDArray[Any], NDArray[Any]]
    test: tuple[NDArray[Any], NDArray[Any]]
    batch_size: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.train[0]) // self.batch_size)

    def model(self, row: "Row") -> "keras.Model":
        """Return a new model, compiled as `row` says.

        Raises:
            ValueError: there is no such factory, or it returns no compiled model, or one whose class has
                a train step of its own.
        """
        import keras

        keras.utils.set_random_seed(self.seed)
        factory = self.make_model
        model = (imported(factory) if isinstance(factory, str) else factory)()
        what = factory if isinstance(factory, str) else "the model factory"
        if not isinstance(model, keras.Model):
            raise ValueError(f"{what}: expected a compiled keras.Model; received {type(model).__name__}")
        if not model.compiled or model.optimizer is None:
            raise ValueError(f"{what}: expected a compiled model; received one without compile()")
        if type(model).train_step is not keras.Model.train_step:
            raise ValueError(
                f"{what}: expected a model that fit trains with Keras' own step; the class"
                f" {type(model).__name__} has a train_step of its own"
            )
        return row.compile(model)
