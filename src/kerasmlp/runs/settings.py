"""The settings of a run. Each field has its type, default, bounds and help in one place."""

import dataclasses
import functools
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from kerasmlp.runs import run_folder
from kerasmlp.runs.fields import (
    FRACTION,
    POSITIVE,
    SEED,
    Bound,
    SettingError,
    at_least,
    auto_or,
    between,
    check,
    require,
)
from kerasmlp.runs.recipes import RECIPES, RecipeName, defaults

LoopName = Literal["fit", "graph", "eager"]
ScheduleName = Literal["constant", "cosine"]
QuantizeName = Literal["none", "int8", "int4"]
StrategyName = Literal["none", "mirrored", "multiworker"]
SummaryName = Literal[
    "scalars", "graphs", "histograms", "images", "pr_curves", "hparams", "text", "projector"
]
"""TensorBoard's dashboards."""

CHANGED_BY_RESUME = {
    *("data", "epochs", "loop", "strategy", "logical_cpus", "jit_compile", "steps_per_execution"),
    *("logdir", "name", "resume"),
    *("checkpoint_every", "keep_checkpoints", "summaries", "profile", "verbose", "seeds"),
}
"""What may change when a run is resumed. The data is checked by its content, not by its name."""

DECIDING: dict[str, Any] = {
    "recipe": list(RECIPES),
    "loop": get_args(LoopName),
    "strategy": get_args(StrategyName),
    "resume": (),
    "name": None,
    "logdir": None,
}
"""The flags that decide the defaults of others, with their choices, for `cli.peek`."""

EVERY = re.compile(r"([1-9]\d{0,8})(?:(epoch|step)s?|(s))")
"""A number and a unit: `epoch`, `step` or `s`."""
INTERVAL = Bound(
    lambda value: EVERY.fullmatch(value) is not None,
    "a positive number and epoch, steps or s, as in 1epoch, 1000steps, 30s",
)
FOLDER_NAME = Bound(
    lambda value: value is None or (value not in ("", ".", "..") and not set(value) & set("/\\\0")),
    "the name of a folder, without path separators",
)
UNITS = Bound(
    lambda value: len(value) > 0 and all(units >= 1 for units in value),
    "one number or several, each at least 1",
)
PIXELS = between(0, 100, "a number of pixels")

AnySettings = TypeVar("AnySettings", bound="Settings")


def default_data() -> str:
    """Return the default of `data`: the variable `KERASMLP_DATA`, or `auto`."""
    return os.environ.get("KERASMLP_DATA", "auto")


def filled_in(kind: type[AnySettings]) -> type[AnySettings]:
    """Let the constructor take what it is not given from the recipe, the loop and the strategy."""
    init = kind.__init__

    @functools.wraps(init)
    def filling_in(self: Any, **given: Any) -> None:
        init(self, **{**defaults(**given), **given})

    kind.__init__ = filling_in  # type: ignore[method-assign]
    return kind


@filled_in
@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Train the handbook's MLP, and write a run folder that TensorBoard opens.

    What is not given comes from the recipe, the loop and the strategy.

    Args:
        data: The data: mnist (from Keras' cache or a download); mnist5k (5,000 images that are installed
            with this package); auto (mnist, or mnist5k if that fails); the path of an .npz file with
            x_train, y_train, x_test, y_test; or a folder of IDX files. The environment variable
            KERASMLP_DATA sets the default.
        loop: The training loop: fit, Keras' own; graph, a GradientTape step under tf.function; eager,
            the same step without tf.function, as in the handbook. Without XLA, all three end with the
            same weights.
        epochs: Number of epochs.
        batch_size: Images in a batch.
        learning_rate: Adam's learning rate; with a schedule, the highest one.
        schedule: The learning rate over the run: constant; or cosine, which rises during the first 2 %
            of the steps and then falls to 0.
        weight_decay: Decoupled weight decay, as in AdamW. 0 is none.
        ema_momentum: Momentum of the moving average of the weights. The trained model has the averaged
            weights. 0 is no average.
        affine: Augmentation by random rotation, scaling and shear: the largest change of a matrix entry;
            0 is none.
        translation: Augmentation by random translation: the largest one, in pixels. 0 is none.
        elastic: Augmentation by random elastic distortion: its root mean square, in pixels. 0 is none.
        seed: Seed of the initial weights, the order of the batches and the augmentation.
        hidden_units: Units of each hidden layer.
        quantize: Quantization-aware training: bits of a weight (activations have 8). kerasmlp.export
            then loses little or no accuracy.
        sampling: shuffle takes every image once an epoch; replacement draws each batch from all images,
            as in the handbook.
        validation_size: Training images that are held out for validation, the last ones. auto is a
            tenth, at most 5,000.
        strategy: What tf.distribute distributes the fit and graph loops over: mirrored, all GPUs of this
            machine; multiworker, the workers that TF_CONFIG or Slurm names. Each replica computes a
            slice of every batch.
        logical_cpus: With mirrored: split the CPU into this many devices, to try it without GPUs.
        jit_compile: Compile the train step with XLA. Not with the eager loop, nor with a strategy.
        steps_per_execution: Steps in one call, with XLA in one program. Updates and Ctrl-C are handled
            between calls; auto allows about 4 a second. The eager loop has 1.
        logdir: Folder of the run folders.
        name: Name of the run folder. By default: time, loop and seed.
        resume: Resume the run of that name from its last checkpoint, with its settings. The number of
            epochs, the loop and its compilation may change.
        checkpoint_every: How often to write a checkpoint: a number and epoch, steps or s (seconds), as
            in 1epoch, 1000steps, 30s. The last epoch always writes one.
        keep_checkpoints: Number of checkpoints to keep, the newest.
        summaries: TensorBoard dashboards to write for. With nothing after it: none.
        profile: Profile a few steps of the second execution, for TensorBoard's dashboard Profile.
        recipe: Settings that go together; a flag that is given wins. default: the handbook's
            hyper-parameters, shuffled epochs, validation. handbook: the handbook's experiment, batches
            drawn from all images, no validation. accurate: the most from the same model, in minutes.
        verbose: Print the loss of each batch, and TensorFlow's start-up messages.

    Raises:
        SettingError: a setting has another type or is out of its bounds; a `ValueError`.
    """

    data: str = dataclasses.field(default_factory=default_data)
    loop: LoopName = "fit"
    epochs: Annotated[int, at_least(1)] = 5
    batch_size: Annotated[int, at_least(1)] = 50
    learning_rate: Annotated[float, POSITIVE] = 0.001
    schedule: ScheduleName = "constant"
    weight_decay: Annotated[float, FRACTION] = 0.0
    ema_momentum: Annotated[float, FRACTION] = 0.0
    affine: Annotated[float, FRACTION] = 0.0
    translation: Annotated[float, PIXELS] = 0.0
    elastic: Annotated[float, PIXELS] = 0.0
    seed: Annotated[int, SEED] = 0
    hidden_units: Annotated[tuple[int, ...], UNITS] = (100,)
    quantize: QuantizeName = "none"
    sampling: Literal["shuffle", "replacement"] = "shuffle"
    validation_size: Annotated[int | Literal["auto"], auto_or(at_least(0))] = "auto"
    strategy: StrategyName = "none"
    logical_cpus: Annotated[int, at_least(1)] = 1
    jit_compile: bool = True
    steps_per_execution: Annotated[int | Literal["auto"], auto_or(between(1, 1_000_000))] = "auto"
    logdir: Path = run_folder.LOGS
    name: Annotated[str | None, FOLDER_NAME] = None
    resume: bool = False
    checkpoint_every: Annotated[str, INTERVAL] = "1epoch"
    keep_checkpoints: Annotated[int, at_least(1)] = 3
    summaries: tuple[SummaryName, ...] = get_args(SummaryName)
    profile: bool = False
    recipe: RecipeName = "default"
    verbose: bool = False

    def __post_init__(self) -> None:
        check(self)
        require(self, self.name is not None or not self.resume, "name", "the run to resume")
        one_step = self.steps_per_execution == 1
        if self.loop == "eager":
            why = ", since the eager loop compiles nothing"
            require(self, not self.jit_compile, "jit_compile", f"False{why}")
            require(self, one_step, "steps_per_execution", f"1{why}")
        if self.strategy != "none":
            require(self, self.loop != "eager", "loop", "fit or graph with a strategy")
            require(self, not self.jit_compile, "jit_compile", "False with a strategy")
            require(self, self.quantize == "none", "quantize", "none with a strategy")
        # TensorFlow cannot run Keras' loop of several steps with an exchange between workers in it.
        cannot_loop = self.loop == "fit" and self.strategy == "multiworker"
        expected = "1 with the fit loop and the strategy multiworker; graph takes any number"
        require(self, one_step or not cannot_loop, "steps_per_execution", expected)
        split = self.strategy == "mirrored" or self.logical_cpus == 1
        require(self, split, "logical_cpus", "1 without the strategy mirrored")

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

    @classmethod
    def starting_from(cls, given: Mapping[str, Any]) -> Self:
        """Return the defaults of a command line on which these flags of `DECIDING` are given.

        They are those of the recipe, the loop and the strategy, or of the run to resume.

        Raises:
            ValueError: the settings of that run are damaged.
            OSError: there is no such run.
        """
        chosen = {name: given[name] for name in ("recipe", "loop", "strategy") if name in given}
        if not {"resume", "name"} <= given.keys():
            return cls(**chosen)
        logdir = Path(given.get("logdir", run_folder.LOGS))
        saved = cls.read(run_folder.existing(logdir, given["name"]) / run_folder.SETTINGS)
        loop, strategy = chosen.get("loop", saved.loop), chosen.get("strategy", saved.strategy)
        same = (loop, strategy) == (saved.loop, saved.strategy)
        compiled = saved if same else Settings(loop=loop, strategy=strategy)
        fields = ("loop", "strategy", "logical_cpus", "jit_compile", "steps_per_execution")
        changed: dict[str, Any] = {field: getattr(compiled, field) for field in fields}
        return dataclasses.replace(saved, name=given["name"], resume=True, profile=False, **changed)

    def _check_resumes(self, saved: "Settings") -> None:
        """Check that no setting differs from `saved` that would make it another run."""
        # With a cosine, the learning rate of each step depends on the number of epochs.
        changed = CHANGED_BY_RESUME - ({"epochs"} if self.schedule == "cosine" else set())
        for field in dataclasses.fields(self):
            received, expected = getattr(self, field.name), getattr(saved, field.name)
            if field.name not in changed and received != expected:
                raise SettingError(field.name, f"{expected!r}, as when the run was begun", received)

    def resumed_folder(self) -> Path | None:
        """Return the folder of the run to resume. None for a new run.

        Raises:
            ValueError: that run has other settings, or damaged ones.
            OSError: there is no such run.
        """
        if not self.resume:
            return None
        folder = run_folder.existing(self.logdir, str(self.name))
        self._check_resumes(self.read(folder / run_folder.SETTINGS))
        return folder

    @property
    def checkpoint_interval(self) -> tuple[int, str]:
        """The number and the unit, `epoch`, `step` or `s`, of `checkpoint_every`."""
        number, *units = EVERY.fullmatch(self.checkpoint_every).groups()  # type: ignore[union-attr]
        return int(number), next(filter(None, units))

    def held_out(self, training_images: int) -> int:
        """Return how many of the training images are held out for validation.

        Raises:
            SettingError: too few are left for a batch.
        """
        size = self.validation_size
        held_out = min(5000, training_images // 10) if size == "auto" else size
        left = training_images - held_out
        fewer = f"fewer than the {training_images:,} training images"
        require(self, left >= 1, "validation_size", fewer)
        most = f"at most the {left:,} training images ({held_out:,} are held out for validation)"
        require(self, self.batch_size <= left, "batch_size", most)
        return held_out
