"""What every row starts from: the model, the data, the batch size and the seed."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasmlp.comparison.process import import_by_name
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
        make_model: returns a compiled model; or the name of the function, `package.module:name`.
        test: examples and labels for the evaluation and the predictions.
        seed: seed of the initial weights and the order of the batches.
    """

    make_model: "str | Callable[[], keras.Model]"
    train: Arrays
    test: Arrays
    batch_size: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.train[0]) // self.batch_size)

    def new_model(self) -> "keras.Model":
        """Return a new compiled model. A `ValueError` says why the function makes no usable one."""
        import keras

        keras.utils.set_random_seed(self.seed)
        factory = self.make_model
        what = factory if isinstance(factory, str) else "the model function"
        model = (import_by_name(factory) if isinstance(factory, str) else factory)()
        wrong = None
        if not isinstance(model, keras.Model):
            wrong = f"expected a compiled keras.Model; received {type(model).__name__}"
        elif not model.compiled or model.optimizer is None:
            wrong = "expected a compiled model; received one without compile()"
        elif type(model).train_step is not keras.Model.train_step:
            wrong = (
                "expected a model that fit trains with Keras' own step; received a model of the class"
                f" {type(model).__name__}, which has its own train_step"
            )
        if wrong:
            raise ValueError(f"{what}: {wrong}")
        return model


def handbook_start(data: MNISTLoader, batch_size: int, seed: int, model: str | None) -> Start:
    """Return a start with the model function that `model` names; None for the handbook's MLP."""
    make_model = model or functools.partial(_handbook_mlp, data.image_shape, data.classes)
    return Start(make_model, *as_arrays(data), batch_size, seed)


def _handbook_mlp(image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    from kerasmlp.models import compiled_mlp

    return compiled_mlp(image_shape, classes, jit_compile=False, steps_per_execution=1)


def as_arrays(data: Data) -> tuple[Arrays, Arrays]:
    """Return training arrays and test arrays, by default the training arrays.

    A `ValueError` says what is wrong with the data.
    """
    if isinstance(data, str | Path):
        data = MNISTLoader(str(data))
    if isinstance(data, MNISTLoader):
        return (data.train_data, data.train_label), (data.test_data, data.test_label)
    if len(data) != 2:
        raise ValueError(
            f"data: expected (x, y) or ((x, y), (x_test, y_test)); received {len(data)} parts"
        )
    has_test = all(isinstance(part, tuple | list) and len(part) == 2 for part in data)
    arrays = [(np.asarray(x), np.asarray(y)) for x, y in (data if has_test else [data])]
    for x, y in arrays:
        if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
            raise ValueError(
                "data: expected the same number of examples and labels, at least one; received arrays"
                f" of the shapes {x.shape} and {y.shape}"
            )
    return arrays[0], arrays[-1]
