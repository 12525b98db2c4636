"""What every row starts from: the model, the data, the batch size and the seed."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasmlp.comparison.names import import_by_name
from kerasmlp.data import MNISTLoader

if TYPE_CHECKING:
    import keras

Arrays = tuple[NDArray[Any], NDArray[Any]]
"""Examples and their labels."""
Data = str | Path | MNISTLoader | Arrays | tuple[Arrays, Arrays]
"""A source as `--data` takes it, a loader, training arrays, or training and test arrays."""


@dataclasses.dataclass(frozen=True)
class Start:
    """What every row starts from, and what it trains on.

    Attributes:
        make_model: a function without arguments that returns a compiled model, or its name,
            `package.module:name`.
        train: training examples and labels.
        test: examples and labels for the evaluation and the predictions.
        batch_size: examples in a batch.
        seed: seed of the initial weights and the order of the batches.
    """

    make_model: "str | Callable[[], keras.Model]"
    train: Arrays
    test: Arrays
    batch_size: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.train[0]) // self.batch_size)

    def new_model(self) -> "keras.Model":
        """Return a new compiled model.

        Raises:
            ValueError: the function cannot be imported, its model is not compiled, or the class of its
                model has its own `train_step`.
        """
        import keras

        keras.utils.set_random_seed(self.seed)
        factory = self.make_model
        model = (import_by_name(factory) if isinstance(factory, str) else factory)()
        what = factory if isinstance(factory, str) else "the model function"
        if not isinstance(model, keras.Model):
            raise ValueError(f"{what}: expected a compiled keras.Model; received {type(model).__name__}")
        if not model.compiled or model.optimizer is None:
            raise ValueError(f"{what}: expected a compiled model; received one without compile()")
        if type(model).train_step is not keras.Model.train_step:
            raise ValueError(
                f"{what}: expected a model that fit trains with Keras' own step; received a model of the"
                f" class {type(model).__name__}, which has its own train_step"
            )
        return model


def handbook_start(data: MNISTLoader, batch_size: int, seed: int, model: str | None) -> Start:
    """Return a start with the model function that `model` names; None for the handbook's MLP."""
    make_model = model or functools.partial(_handbook_mlp, data.image_shape, data.classes)
    train, test = as_arrays(data)
    return Start(make_model, train, test, batch_size, seed)


def _handbook_mlp(image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    from kerasmlp.models import compiled_mlp

    return compiled_mlp(image_shape, classes, jit_compile=False, steps_per_execution=1)


def as_arrays(data: Data) -> tuple[Arrays, Arrays]:
    """Return training arrays and test arrays. Without test arrays, they are the training arrays.

    Raises:
        ValueError: the data is not what the source should contain, or the arrays do not fit together.
        OSError: the data cannot be read.
    """
    if isinstance(data, str | Path):
        data = MNISTLoader(str(data))
    if isinstance(data, MNISTLoader):
        return (data.train_data, data.train_label), (data.test_data, data.test_label)
    if len(data) == 2 and all(isinstance(part, tuple | list) and len(part) == 2 for part in data):
        train, test = ((np.asarray(x), np.asarray(y)) for x, y in data)
    elif len(data) == 2:
        train = np.asarray(data[0]), np.asarray(data[1])
        test = train
    else:
        raise ValueError(
            f"data: expected (x, y) or ((x, y), (x_test, y_test)); received {len(data)} parts"
        )
    for x, y in (train, test):
        if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
            raise ValueError(
                "data: expected the same number of examples and labels, at least one; received arrays"
                f" of the shapes {x.shape} and {y.shape}"
            )
    return train, test
