"""The arguments of `kerasmlp.fit` that are numbers and choices, with Keras' names and meaning."""

import dataclasses
from typing import Annotated, ClassVar, Literal, get_args

from kerasmlp.runs.fields import FRACTION, Bound, SettingError, at_least, none_or
from kerasmlp.runs.run_settings import STEPS, LoopName, RunSettings

EPOCHS = Bound(
    lambda value: all(each >= 1 for each in (value if isinstance(value, tuple) else (value,))),
    "a number, or a list of epochs, each at least 1",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitSettings(RunSettings):
    """The settings of a run of `kerasmlp.fit`, whose docstring says what they mean."""

    changed_by_resume: ClassVar[frozenset[str]] = RunSettings.changed_by_resume | {
        *("validation_freq", "validation_steps", "validation_batch_size", "steps_per_execution"),
    }

    epochs: Annotated[int, at_least(0)] = 1
    batch_size: Annotated[int, at_least(1)] = 32
    shuffle: bool = True
    initial_epoch: Annotated[int, at_least(0)] = 0
    steps_per_epoch: Annotated[int | None, none_or(at_least(1))] = None
    validation_split: Annotated[float, FRACTION] = 0.0
    validation_steps: Annotated[int | None, none_or(at_least(1))] = None
    validation_batch_size: Annotated[int | None, none_or(at_least(1))] = None
    steps_per_execution: Annotated[int | Literal["auto"] | None, none_or(STEPS)] = None
    validation_freq: Annotated[int | tuple[int, ...], EPOCHS] = 1

    def _check_resumes(self, saved: RunSettings) -> None:
        for loop in (self.loop, saved.loop):
            if loop not in get_args(LoopName):
                expected = f"a new folder, for a run of the loop {loop}, which cannot be resumed"
                raise SettingError("run", expected, str(self.logdir / str(self.name)))
        super()._check_resumes(saved)
