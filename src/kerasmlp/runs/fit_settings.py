"""The arguments of `kerasmlp.fit` that are numbers and choices, with Keras' names and meaning."""

import dataclasses
from typing import Annotated, ClassVar

from kerasmlp.runs.fields import FRACTION, Bound, SettingError, at_least, none_or
from kerasmlp.runs.run_settings import RunSettings

EPOCHS = Bound(
    lambda value: all(each >= 1 for each in (value if isinstance(value, tuple) else (value,))),
    "a number, or a list of epochs, each at least 1",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitSettings(RunSettings):
    """The settings of a run of `kerasmlp.fit`, whose docstring says what they mean."""

    changed_by_resume: ClassVar[frozenset[str]] = RunSettings.changed_by_resume | {
        *("validation_freq", "validation_steps", "validation_batch_size"),
    }

    epochs: Annotated[int, at_least(0)] = 1
    batch_size: Annotated[int, at_least(1)] = 32
    shuffle: bool = True
    initial_epoch: Annotated[int, at_least(0)] = 0
    steps_per_epoch: Annotated[int | None, none_or(at_least(1))] = None
    validation_split: Annotated[float, FRACTION] = 0.0
    validation_steps: Annotated[int | None, none_or(at_least(1))] = None
    validation_batch_size: Annotated[int | None, none_or(at_least(1))] = None
    validation_freq: Annotated[int | tuple[int, ...], EPOCHS] = 1
    loop: str = "fit"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loop not in ("fit", "graph", "eager"):
            raise SettingError("loop", "fit, graph, eager or a function", self.loop)
