"""A case of the corpus: a training program, right or with one mistake, and what it trains."""

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Case:
    """A loop, or a train step, and the model that it trains.

    Attributes:
        loop: a loop `(model, train, validation, epochs, callbacks)`; with `is_step` a train step
            `(model, x, y)` or `(model, x, y, sample_weight)`.
        make_model: returns the compiled model.
        data: as `compare_loops` takes it. None for the data of `kinds.data_of(make_model)`.
        cause: a part of the expected cause; None for a right program.
        step: the first wrong step, counted from 1. None if it is not checked.
        epochs: epochs of the comparison.
        options: other options of `compare_loops`: `validation_data`, `class_weight`, `callbacks`,
            `batch_size`.
        verdicts: the verdicts that are right.
    """

    loop: Callable[..., Any]
    make_model: Callable[[], Any]
    data: Any = None
    is_step: bool = False
    cause: str | None = None
    step: int | None = None
    epochs: int = 2
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    verdicts: tuple[str, ...] = ()
