"""The settings that every run has: how it is driven, where it is written, how it is resumed."""

import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from kerasmlp.runs import run_folder
from kerasmlp.runs.fields import SEED, Bound, SettingError, at_least, auto_or, between, check, require

LoopName = Literal["fit", "graph", "eager"]
SummaryName = Literal[
    "scalars", "graphs", "histograms", "images", "pr_curves", "hparams", "text", "projector"
]
"""TensorBoard's dashboards."""

EVERY = re.compile(r"([1-9]\d{0,8})(?:(epoch|step)s?|(s))")
"""A number and a unit: `epoch`, `step` or `s`."""
INTERVAL = Bound(
    lambda value: EVERY.fullmatch(value) is not None,
    "a positive number and epoch, steps or s, as in 1epoch, 1000steps, 30s",
)
STEPS = auto_or(between(1, 1_000_000))
NOT_TRAINED = frozenset(
    {
        *("data", "transpose", "logdir", "name", "resume", "checkpoint_every", "keep_checkpoints"),
        *("summaries", "profile", "verbose"),
    }
)
"""Settings that change what is written, and nothing of what is trained."""
NOT_CHOSEN = NOT_TRAINED | {"seeds", "jobs", "logical_cpus"}
"""Those, and settings of how a training is spread."""
FOLDER_NAME = Bound(
    lambda value: value is None or (value not in ("", ".", "..") and not set(value) & set("/\\\0")),
    "the name of a folder, without path separators",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The settings that every run has.

    Args:
        loop: The training loop: fit, Keras' own; graph, a GradientTape step under tf.function; eager,
            the same step without tf.function, as in the handbook. Without XLA, all three end with the
            same weights.
        epochs: Number of epochs.
        batch_size: Examples in a batch.
        seed: Seed of the initial weights, the order of the batches and the augmentation.
        logdir: Folder of the run folders.
        name: Name of the run folder. By default: time, loop and seed.
        resume: Resume the run of that name from its last checkpoint, with its settings; begin it if
            there is none. The number of epochs, the loop and its compilation may change.
        checkpoint_every: How often to write a checkpoint: a number and epoch, steps or s (seconds), as
            in 1epoch, 1000steps, 30s. The last epoch always writes one.
        keep_checkpoints: Number of checkpoints to keep, the newest.
        summaries: TensorBoard dashboards to write for. With nothing after it: none.
        profile: Profile a few steps of the second execution, for TensorBoard's dashboard Profile.
        verbose: Print the loss of each batch, and TensorFlow's start-up messages.

    Raises:
        SettingError: a setting has another type or is out of its bounds; a `ValueError`.
    """

    changed_by_resume: ClassVar[frozenset[str]] = frozenset(
        {
            *("epochs", "loop", "logdir", "name", "resume", "verbose"),
            *("checkpoint_every", "keep_checkpoints", "summaries", "profile"),
        }
    )
    """What may change when a run is resumed."""

    loop: str = "fit"
    epochs: Annotated[int, at_least(1)] = 5
    batch_size: Annotated[int, at_least(1)] = 50
    seed: Annotated[int, SEED] = 0
    logdir: Path = run_folder.LOGS
    name: Annotated[str | None, FOLDER_NAME] = None
    resume: bool = False
    checkpoint_every: Annotated[str, INTERVAL] = "1epoch"
    keep_checkpoints: Annotated[int, at_least(1)] = 3
    summaries: tuple[SummaryName, ...] = get_args(SummaryName)
    profile: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        check(self)
        require(self, self.name is not None or not self.resume, "name", "the run to resume")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the settings that were saved in a run folder.

        Raises:
            ValueError: the file does not hold settings.
            OSError: it cannot be read.
        """
        content = path.read_bytes()
        try:
            return cls(**json.loads(content))
        except (ValueError, TypeError, RecursionError) as error:
            expected = "expected the settings of a run of this version of kerasmlp"
            raise ValueError(f"{path}: {expected}; {error}") from error

    def _check_resumes(self, saved: "RunSettings") -> None:
        """Check that no setting differs from `saved` that would make it another run."""
        for field in dataclasses.fields(self):
            received, expected = getattr(self, field.name), getattr(saved, field.name)
            if field.name not in self.changed_by_resume and received != expected:
                raise SettingError(field.name, f"{expected!r}, as when the run was begun", received)

    def chosen(self) -> dict[str, Any]:
        """Return the settings that differ from the defaults, and change what is trained.

        What a recipe, the loop and a strategy set is left out, and they themselves are named.
        """
        default = type(self)()
        others = [name for name in ("recipe", "strategy") if hasattr(self, name)]
        deciding = {name: getattr(self, name) for name in others}
        expected = dataclasses.asdict(type(self)(loop=self.loop, **deciding))
        expected |= {name: getattr(default, name) for name in others}
        return {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name not in NOT_CHOSEN and value != expected[name]
        }

    def resumed_folder(self) -> Path | None:
        """Return the folder of the run to resume. None for a new run.

        Raises:
            ValueError: that run has other settings, or damaged ones.
        """
        if not self.resume:
            return None
        folder = self.logdir / str(self.name)
        if not run_folder.is_begun(folder):
            newest = run_folder.newest(self.logdir)
            line = f"there is no run {folder} yet: it begins now"
            print(
                f"{line}; the newest run is called {newest.name!r}" if newest else line, file=sys.stderr
            )
            return None
        self._check_resumes(self.read(folder / run_folder.SETTINGS))
        return folder

    @property
    def checkpoint_interval(self) -> tuple[int, str]:
        """The number and the unit, `epoch`, `step` or `s`, of `checkpoint_every`."""
        number, *units = EVERY.fullmatch(self.checkpoint_every).groups()  # type: ignore[union-attr]
        return int(number), next(filter(None, units))
