"""What every row starts from: the model, the data, the batch size and the seed."""

import contextlib
import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerasmlp.comparison.user_data import Data, as_data, with_class_weight
from kerasmlp.data import MNISTLoader, Parts
from kerasmlp.processes import dumps, loads
from kerasmlp.runs import new_model

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from kerasmlp.data import Batches, DatasetBatches, SavedDataset


@dataclasses.dataclass(frozen=True)
class Start:
    """What every row starts from, and what it trains on.

    Attributes:
        make_model: returns a compiled model; or the name of the function, `package.module:name`.
        train: `(x,)`, `(x, y)` or `(x, y, sample_weight)`; or a saved dataset.
        test: the same, for the evaluation and the predictions.
        seed: seed of the initial weights and the order of the batches.
        validation: data that loops get as their validation data; None for none.
        callbacks: callbacks that drive each loop, and the reference.
        are_images: whether the inputs are images: bytes are scaled to [0, 1].
    """

    make_model: "str | Callable[[], keras.Model]"
    train: "Parts | SavedDataset"
    test: "Parts | SavedDataset"
    batch_size: int
    seed: int
    validation: "Parts | SavedDataset | None" = None
    callbacks: "Sequence[keras.callbacks.Callback]" = ()
    are_images: bool = False

    @property
    def examples(self) -> int:
        """Number of training examples."""
        return self.train.examples

    @property
    def steps_per_epoch(self) -> int:
        if isinstance(self.train, Parts):
            return -(-self.examples // self.batch_size)
        return self.train.steps_per_epoch

    def batches(self) -> "Batches | DatasetBatches":
        """Return the training batches."""
        if not isinstance(self.train, Parts):
            return self.train.batches()
        from kerasmlp.data import Batches

        x, y, sample_weight = self.train.padded
        return Batches(
            x,
            y,
            self.batch_size,
            self.seed,
            sample_weight=sample_weight,
            are_images=self.are_images,
        )

    def validation_batches(self) -> "tf.data.Dataset | None":
        """Return the validation data in batches; None for no validation."""
        return None if self.validation is None else self._in_order(self.validation)

    def test_batches(self, examples: int | None = None) -> "tf.data.Dataset":
        """Return the test data in batches; not many more than the first `examples`."""
        batches = self._in_order(self.test)
        size = self.batch_size if isinstance(self.test, Parts) else self.test.batch_size
        return batches if examples is None else batches.take(-(-examples // size))

    def _in_order(self, data: "Parts | SavedDataset") -> "tf.data.Dataset":
        if not isinstance(data, Parts):
            return data.dataset()
        from kerasmlp.data import Examples

        examples = Examples(*data.padded, are_images=self.are_images, batch_size=self.batch_size)
        return examples.in_order()

    def new_callbacks(self) -> "list[keras.callbacks.Callback]":
        """Return new copies of the callbacks."""
        return list(loads(dumps(list(self.callbacks))))

    def new_model(self) -> "keras.Model":
        """Return a new compiled model. A `ValueError` says why the function makes no usable one."""
        import keras

        keras.utils.set_random_seed(self.seed)
        return new_model(self.make_model)


@contextlib.contextmanager
def start_from(
    make_model: "str | Callable[[], keras.Model]",
    data: Data,
    batch_size: int,
    seed: int,
    *,
    validation_data: Data | None = None,
    class_weight: Mapping[int, float] | None = None,
    callbacks: "Sequence[keras.callbacks.Callback]" = (),
) -> Iterator[Start]:
    """A context with the start of a comparison on data of any form that `fit` takes.

    A `ValueError` says what is wrong with the data.
    """
    if not isinstance(make_model, str) and (not callable(make_model) or hasattr(make_model, "layers")):
        raise ValueError(
            "the model function: expected a function without arguments that returns a compiled model;"
            f" received {type(make_model).__name__}"
        )
    if isinstance(callbacks, str) or not isinstance(callbacks, Sequence):
        raise ValueError(f"callbacks: expected a list of callbacks; received {callbacks!r}")
    for callback in callbacks:
        if isinstance(callback, type) or not hasattr(callback, "set_model"):
            raise ValueError(f"callbacks: expected keras callbacks; received {callback!r}")
    with tempfile.TemporaryDirectory(prefix="kerasmlp-") as folder:
        train, test, are_images = as_data(data, Path(folder) / "train")
        validation = test
        if validation_data is not None:
            try:
                validation, _, _ = as_data(validation_data, Path(folder) / "validation")
            except ValueError as error:
                raise ValueError(f"validation_data: {error}") from error
        if class_weight is not None:
            train = with_class_weight(train, class_weight, Path(folder) / "weighted")
        if not isinstance(train, Parts):
            batch_size = train.batch_size
        yield Start(
            make_model,
            train,
            train if test is None else test,
            batch_size,
            seed,
            validation,
            tuple(callbacks),
            are_images,
        )


def handbook_model(data: MNISTLoader) -> "Callable[[], keras.Model]":
    """Return the function that makes the handbook's MLP for images like those of `data`."""
    return functools.partial(_handbook_mlp, data.image_shape, data.classes)


def _handbook_mlp(image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    from kerasmlp.models import compiled_mlp

    return compiled_mlp(image_shape, classes)
