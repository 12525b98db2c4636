"""The settings of `train`. Each field has its type, default, bounds and help in one place."""

import dataclasses
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, get_args

from kerasmlp.runs import run_folder
from kerasmlp.runs.by_name import NAME
from kerasmlp.runs.fields import (
    FRACTION,
    POSITIVE,
    Bound,
    SettingError,
    at_least,
    auto_or,
    between,
    require,
)
from kerasmlp.runs.recipes import RECIPES, RecipeName, defaults
from kerasmlp.runs.run_settings import STEPS, LoopName, RunSettings

ScheduleName = Literal["constant", "cosine"]
QuantizeName = Literal["none", "int8", "int4"]
StrategyName = Literal["none", "mirrored", "multiworker"]
DECIDING: dict[str, Any] = {
    "recipe": list(RECIPES),
    "loop": get_args(LoopName),
    "strategy": get_args(StrategyName),
    "resume": (),
    "name": None,
    "logdir": None,
}
"""The flags that decide the defaults of others, with their choices, for `flags.peek`."""

UNITS = Bound(
    lambda value: len(value) > 0 and all(units >= 1 for units in value),
    "one number or several, each at least 1",
)
PIXELS = between(0, 100, "a number of pixels")

OF_THE_MLP = (
    *("learning_rate", "schedule", "weight_decay", "ema_momentum", "affine", "translation", "elastic"),
    *("hidden_units", "quantize", "recipe"),
)
"""The settings that describe the handbook's MLP, how it is compiled, and its images."""

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
class Settings(RunSettings):
    """Train the handbook's MLP, or with --model one of yours; write a run folder for TensorBoard.

    What is not given comes from the recipe, the loop and the strategy.

    Args:
        data: The data: mnist (from Keras' cache or a download); mnist5k (5000 images that are installed
            with this package); auto (mnist, or mnist5k if that fails); the path of an .npz file with
            x_train, y_train, x_test, y_test, or the same by other names, in any form that has one
            meaning; or of a folder of IDX files, gzipped or not, of one of them, or FOLDER/PREFIX, what
            their names begin with. The environment variable KERASMLP_DATA sets the default. With
            --model, the arrays of an .npz file may have any shape and type, also x_train/NAME and
            y_train/NAME for several inputs and outputs, and sample_weight_train; only images as bytes
            with labels are scaled, and nothing else is converted.
        transpose: The images lie on their side, as in EMNIST's files: exchange their rows and columns.
        model: The model: package.module:name of a function without arguments that returns a compiled
            Keras model. By default the handbook's MLP.
        callbacks: More callbacks: package.module:name of a function that returns a list of them.
        early_stopping: Stop when the validation loss (without validation, the loss) has not fallen for
            this number of epochs, and take the weights of the best epoch. 0 is never.
        reduce_lr: Divide the learning rate by 10 when that loss has not fallen for this number of
            epochs. With 0, never.
        learning_rate: Adam's learning rate; with a schedule, the highest one.
        schedule: The learning rate over the run: constant; or cosine, which rises during the first 2 %
            of the steps and then falls to 0.
        weight_decay: Decoupled weight decay, as in AdamW. 0 is none.
        ema_momentum: Momentum of the moving average of the weights. The trained model has the averaged
            weights. 0 is no average.
        affine: Augmentation by random rotation, scaling and shear: the largest change of an entry of the
            matrix; 0 is none.
        translation: Augmentation by random translation: the largest one, in pixels. 0 is none.
        elastic: Augmentation by random elastic distortion: its root mean square, in pixels. 0 is none.
        hidden_units: Units of each hidden layer.
        quantize: Quantization-aware training: bits of a weight (activations have 8). kerasmlp.export
            then loses little or no accuracy.
        sampling: shuffle takes every image once an epoch; replacement draws each batch from all images,
            as in the handbook.
        validation_size: Training images that are held out for validation, the last ones. auto is a
            tenth, at most 5000.
        strategy: What tf.distribute distributes the fit and graph loops over: mirrored, all GPUs of this
            machine; multiworker, the workers that TF_CONFIG or Slurm names. Each replica computes a
            slice of every batch.
        logical_cpus: With mirrored: split the CPU into this many devices, to try it without GPUs.
        jit_compile: Compile the train step with XLA. Not with the eager loop, nor with a strategy. A
            model of yours is as its function compiled it, unless --no-jit-compile is given.
        steps_per_execution: Steps in one call, with XLA in one program. Updates and Ctrl-C are handled
            between calls; auto allows about 4 a second. The eager loop has 1.
        recipe: Settings that go together; a flag that is given wins. default: the handbook's
            hyper-parameters, shuffled epochs, validation. handbook: the handbook's experiment, batches
            drawn from all images, no validation. quick: about 98 %, in the least time. accurate:
            the most from the same model, in minutes.

    Raises:
        SettingError: a setting has another type or is out of its bounds; a `ValueError`.
    """

    changed_by_resume: ClassVar[frozenset[str]] = RunSettings.changed_by_resume | {
        *("data", "transpose", "strategy", "logical_cpus", "jit_compile", "steps_per_execution"),
        *("seeds", "jobs"),
    }
    """What may change when a run is resumed. The data is checked by its content, not by its name."""

    groups: ClassVar[dict[str, tuple[str, ...]]] = {
        "training": (
            *("recipe", "loop", "epochs", "batch_size", "learning_rate", "schedule", "weight_decay"),
            *("ema_momentum", "seed", "early_stopping", "reduce_lr", "callbacks"),
        ),
        "data": (
            *("data", "validation_size", "sampling", "transpose"),
            *("affine", "translation", "elastic"),
        ),
        "model": ("hidden_units", "quantize", "model"),
        "output": (
            *("name", "logdir", "resume", "checkpoint_every", "keep_checkpoints", "summaries"),
            *("profile", "verbose"),
        ),
        "compilation": ("jit_compile", "steps_per_execution", "strategy", "logical_cpus"),
    }
    """The flags as `--help` shows them: the most used first."""

    data: str = dataclasses.field(default_factory=default_data)
    transpose: bool = False
    model: Annotated[str | None, NAME] = None
    callbacks: Annotated[str | None, NAME] = None
    early_stopping: Annotated[int, at_least(0)] = 0
    reduce_lr: Annotated[int, at_least(0)] = 0
    loop: LoopName = "fit"
    learning_rate: Annotated[float, POSITIVE] = 0.001
    schedule: ScheduleName = "constant"
    weight_decay: Annotated[float, FRACTION] = 0.0
    ema_momentum: Annotated[float, FRACTION] = 0.0
    affine: Annotated[float, FRACTION] = 0.0
    translation: Annotated[float, PIXELS] = 0.0
    elastic: Annotated[float, PIXELS] = 0.0
    hidden_units: Annotated[tuple[int, ...], UNITS] = (100,)
    quantize: QuantizeName = "none"
    sampling: Literal["shuffle", "replacement"] = "shuffle"
    validation_size: Annotated[int | Literal["auto"], auto_or(at_least(0))] = "auto"
    strategy: StrategyName = "none"
    logical_cpus: Annotated[int, at_least(1)] = 1
    jit_compile: bool = True
    steps_per_execution: Annotated[int | Literal["auto"], STEPS] = "auto"
    recipe: RecipeName = "default"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model is not None:
            for name in OF_THE_MLP:
                (field,) = (field for field in dataclasses.fields(self) if field.name == name)
                flag = name.replace("_", "-")
                expected = f"no --{flag} with --model, whose function says how it is"
                require(self, getattr(self, name) == field.default, name, expected)
        constant = self.schedule == "constant" or not self.reduce_lr
        require(self, constant, "reduce_lr", "0 with a schedule of the learning rate")
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
    def starting_from(cls, given: Mapping[str, Any]) -> Self:
        """Return the defaults of a command line on which these flags of `DECIDING` are given.

        They are those of the recipe, the loop and the strategy, or of the run to resume.

        Raises:
            ValueError: the settings of that run are damaged.
        """
        chosen = {name: given[name] for name in ("recipe", "loop", "strategy") if name in given}
        if not {"resume", "name"} <= given.keys():
            return cls(**chosen)
        logdir = Path(given.get("logdir", run_folder.LOGS))
        folder = logdir / given["name"]
        if not run_folder.is_begun(folder):
            return cls(**chosen)
        saved = cls.read(folder / run_folder.SETTINGS)
        loop, strategy = chosen.get("loop", saved.loop), chosen.get("strategy", saved.strategy)
        same = (loop, strategy) == (saved.loop, saved.strategy)
        compiled = saved if same else Settings(loop=loop, strategy=strategy)
        fields = ("loop", "strategy", "logical_cpus", "jit_compile", "steps_per_execution")
        changed: dict[str, Any] = {field: getattr(compiled, field) for field in fields}
        return dataclasses.replace(saved, name=given["name"], resume=True, profile=False, **changed)

    def _check_resumes(self, saved: RunSettings) -> None:
        if self.schedule == "cosine" and isinstance(saved, Settings) and self.epochs != saved.epochs:
            expected = f"{saved.epochs}, as when the run was begun"
            raise SettingError("epochs", expected, self.epochs)
        super()._check_resumes(saved)

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
