"""The settings of a run: each field, its default, its bounds; and the recipes. Imports no TensorFlow."""

import dataclasses
import json
import math
import os
import re
import shlex
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

LoopName = Literal["fit", "graph", "eager"]
RecipeName = Literal["default", "handbook", "accurate"]
ScheduleName = Literal["constant", "cosine"]
QuantizeName = Literal["none", "int8", "int4"]
StrategyName = Literal["none", "mirrored", "multiworker"]
FormatName = Literal["keras", "savedmodel", "litert", "litert-int8", "onnx"]
SummaryName = Literal[
    "scalars", "graphs", "histograms", "images", "pr_curves", "hparams", "text", "projector"
]
"""TensorBoard's dashboards."""


def expect(settings: Any, condition: bool, field: str, expected: str) -> None:
    """Raise a `ValueError` that names the flag of `field`, unless `condition` holds."""
    if not condition:
        flag = f"--{field.replace('_', '-')}"
        raise ValueError(f"{flag}: expected {expected}; received {getattr(settings, field)!r}")


def default_data() -> str:
    """Return the data of a command that is given none."""
    return os.environ.get("KERASMLP_DATA", "auto")


RECIPES: dict[RecipeName, dict[str, Any]] = {
    "default": {},
    "handbook": {"sampling": "replacement", "validation_size": 0, "ema_momentum": 0.0},
    "accurate": {
        "epochs": 400,
        "batch_size": 500,
        "learning_rate": 0.01,
        "schedule": "cosine",
        "affine": 0.15,
        "translation": 0.8,
        "elastic": 0.8,
        "validation_size": 0,
    },
}
"""What each recipe sets. A setting given beside a recipe wins over it."""

CHANGED_BY_RESUME = {
    *("data", "epochs", "loop", "strategy", "logical_cpus", "jit_compile", "steps_per_execution"),
    *("logdir", "name", "resume"),
    *("checkpoint_every", "keep_checkpoints", "summaries", "profile", "verbose", "seeds"),
}
"""What may be given anew when a run goes on. The data is checked by what it holds, not by its name."""

EVERY = re.compile(r"([1-9]\d{0,8})(?:(epoch|step)s?|(s))")
"""A number and a unit, `epoch`, `step` or `s`."""


def _typed(name: str, value: Any, expected: Any) -> Any:
    """Return a value of a JSON file as one of the type of a setting."""
    kinds = get_args(expected) if get_origin(expected) in (UnionType, Union) else (expected,)
    for kind in kinds:
        if get_origin(kind) is Literal and value in get_args(kind):
            return value
        if get_origin(kind) is tuple and isinstance(value, list):
            return tuple(_typed(name, part, get_args(kind)[0]) for part in value)
        if kind is Path and isinstance(value, str):
            return Path(value)
        if kind is float and type(value) is int:
            return float(value)
        if get_origin(kind) is None and type(value) is kind:
            return value
    raise ValueError(f"expected {name} as {expected}; received {value!r:.100}")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Train the handbook's MLP, and write a run folder that TensorBoard opens.

    Args:
        data: What to train on: mnist (Keras' cache or a download), mnist5k (5,000 images that are
            installed with this package), auto (the first, or else the second), the path of an .npz
            file with x_train, y_train, x_test, y_test, or that of a folder of IDX files. The variable
            KERASMLP_DATA sets the default.
        loop: The loop: Keras' own fit; graph, a GradientTape step under tf.function; eager, that step
            as it stands. Without XLA, all three end with the same weights.
        epochs: Passes over the training images.
        batch_size: Images a step.
        learning_rate: Adam's learning rate, the highest of a schedule.
        schedule: The learning rate over the run: constant; or cosine, which rises for 2 % of the steps
            and then falls to 0 by the last.
        weight_decay: The part of each kernel, times the learning rate, that a step takes away.
        ema_momentum: What the moving average of the weights keeps of itself at a step, below 1; the
            trained model is that average. 0 is none.
        affine: Augmentation: turn, stretch and shear each image anew, by a matrix that differs from the
            unit matrix by up to so much in each place. 0 is none.
        translation: Augmentation: move each image by up to so many pixels. 0 is none.
        elastic: Augmentation: bend each image by smooth noise, by so many pixels (root mean square).
            0 is none.
        seed: What the initial weights, the order of the batches and the augmentation follow from.
        hidden_units: Units of each hidden layer.
        quantize: Train for weights of so many bits and activations of 8: they are rounded in training as
            they will be by integer arithmetic, so that kerasmlp.export loses little or nothing.
        sampling: With shuffle, each epoch takes every image once; with replacement, each batch is
            drawn from all images, as in the handbook.
        validation_size: Images held out for validation, the last of the training images; auto is
            a tenth of them, but at most 5,000.
        strategy: What the fit and graph loops are spread over by tf.distribute: mirrored, all GPUs of
            this machine; multiworker, processes, as TF_CONFIG or Slurm names them. Each replica takes
            its slice of every batch.
        logical_cpus: With mirrored, split the CPU into so many devices: to try it without GPUs.
        jit_compile: Compile the step with XLA. The eager loop compiles nothing, and a strategy's
            exchange cannot be: both have it off.
        steps_per_execution: Steps that run in one call, with XLA in one program. Progress, TensorBoard
            and Ctrl-C have their turn between calls; auto is so many that they have it four times a
            second. The eager loop has 1.
        logdir: The folder in which run folders are made.
        name: The name of the run folder. By default made from the time, the loop and the seed.
        resume: Go on with the run of that name, from its last checkpoint, with its settings. More epochs
            may be asked for, and the loop and its compilation be changed.
        checkpoint_every: How often a checkpoint is written: a number and epoch, steps or s for seconds,
            as in 1epoch, 1000steps, 30s. One is written after the last epoch in any case.
        keep_checkpoints: How many checkpoints to keep, the newest.
        summaries: What is written for TensorBoard, by its dashboards. With nothing after it, nothing is.
        profile: Profile a few steps of the second execution, for TensorBoard's dashboard Profile.
        recipe: Settings that go together; a flag given beside it wins. The default shuffles, validates
            and averages the weights; handbook is the handbook's experiment, all images drawn with
            replacement, no validation, no average; accurate gets the most out of the same model, in
            minutes.
        verbose: Show the loss of each batch, and what TensorFlow prints when it starts.

    Raises:
        ValueError: a setting is out of its bounds.
    """

    data: str = dataclasses.field(default_factory=default_data)
    loop: LoopName = "fit"
    epochs: int = 5
    batch_size: int = 50
    learning_rate: float = 0.001
    schedule: ScheduleName = "constant"
    weight_decay: float = 0.0
    ema_momentum: float = 0.99
    affine: float = 0.0
    translation: float = 0.0
    elastic: float = 0.0
    seed: int = 0
    hidden_units: tuple[int, ...] = (100,)
    quantize: QuantizeName = "none"
    sampling: Literal["shuffle", "replacement"] = "shuffle"
    validation_size: int | Literal["auto"] = "auto"
    strategy: StrategyName = "none"
    logical_cpus: int = 1
    jit_compile: bool = True
    steps_per_execution: int | Literal["auto"] = "auto"
    logdir: Path = Path("logs")
    name: str | None = None
    resume: bool = False
    checkpoint_every: str = "1epoch"
    keep_checkpoints: int = 3
    summaries: tuple[SummaryName, ...] = get_args(SummaryName)
    profile: bool = False
    recipe: RecipeName = "default"
    verbose: bool = False

    def __post_init__(self) -> None:
        for field in ("epochs", "batch_size", "keep_checkpoints", "logical_cpus"):
            expect(self, getattr(self, field) >= 1, field, "at least 1")
        steps = self.steps_per_execution
        expect(
            self,
            steps == "auto" or 1 <= steps <= 1_000_000,
            "steps_per_execution",
            "auto or 1 to 1,000,000",
        )
        expect(
            self,
            math.isfinite(self.learning_rate) and self.learning_rate > 0,
            "learning_rate",
            "a positive number",
        )
        for field in ("weight_decay", "ema_momentum", "affine"):
            expect(self, 0 <= getattr(self, field) < 1, field, "0 or a number below 1")
        for field in ("translation", "elastic"):
            expect(self, 0 <= getattr(self, field) <= 100, field, "a number of pixels, 0 to 100")
        expect(self, 0 <= self.seed < 2**31, "seed", "a number from 0 to 2147483647")
        expect(
            self,
            len(self.hidden_units) > 0 and all(units >= 1 for units in self.hidden_units),
            "hidden_units",
            "one number or more, each at least 1",
        )
        expect(
            self,
            self.validation_size == "auto" or self.validation_size >= 0,
            "validation_size",
            "auto or a number of images, at least 0",
        )
        if self.name is not None:
            expect(
                self,
                self.name not in ("", ".", "..") and not set(self.name) & set("/\\\0"),
                "name",
                "the name of a folder, without path separators",
            )
        expect(
            self,
            EVERY.fullmatch(self.checkpoint_every) is not None,
            "checkpoint_every",
            "a positive number and epoch, steps or s, as in 1epoch, 1000steps, 30s",
        )
        expect(self, self.name is not None or not self.resume, "name", "the name of the run to resume")
        if self.loop == "eager" and (self.jit_compile or self.steps_per_execution != 1):
            raise ValueError(
                "the eager loop compiles nothing: expected --no-jit-compile and"
                " --steps-per-execution 1 with --loop eager; received"
                f" --{'' if self.jit_compile else 'no-'}jit-compile"
                f" and --steps-per-execution {self.steps_per_execution}"
            )
        if self.strategy != "none":
            expect(self, self.loop != "eager", "loop", "fit or graph with --strategy")
            expect(self, not self.jit_compile, "jit_compile", "--no-jit-compile with --strategy")
            expect(self, self.quantize == "none", "quantize", "none with --strategy")
        if self.loop == "fit" and self.strategy == "multiworker":
            # TensorFlow cannot run the loop over steps that Keras makes, with an exchange in it.
            expected = "1 with --loop fit and --strategy multiworker; any number with --loop graph"
            expect(self, steps == 1, "steps_per_execution", expected)
        mirrored = self.strategy == "mirrored"
        expect(self, mirrored or self.logical_cpus == 1, "logical_cpus", "1 without --strategy mirrored")

    @classmethod
    def of(
        cls,
        recipe: RecipeName = "default",
        loop: LoopName = "fit",
        strategy: StrategyName = "none",
        **given: Any,
    ) -> Self:
        """Return the settings of a recipe, a loop and a strategy, with those `given` in their place."""
        compilation: dict[str, Any] = {}
        if loop == "eager":
            compilation = {"jit_compile": False, "steps_per_execution": 1}
        elif strategy != "none":
            compilation = {"jit_compile": False}
            if loop == "fit" and strategy == "multiworker":
                compilation["steps_per_execution"] = 1
        named = {"recipe": recipe, "loop": loop, "strategy": strategy}
        return cls(**{**RECIPES[recipe], **compilation, **named, **given})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the settings that were saved in a run folder.

        Raises:
            ValueError: the file does not hold settings.
            OSError: it cannot be read.
        """
        content = path.read_bytes()
        try:
            saved = json.loads(content)
            types = get_type_hints(cls)
            if not isinstance(saved, dict) or saved.keys() - types.keys():
                raise ValueError("expected the settings of a run")
            return cls(**{name: _typed(name, value, types[name]) for name, value in saved.items()})
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: {error}") from error

    def resuming(
        self, name: str, loop: LoopName | None = None, strategy: StrategyName | None = None
    ) -> Self:
        """Return the defaults of going on with the run of these settings.

        Args:
            name: of the run.
            loop: another than before; None for the same.
            strategy: likewise.
        """
        new: Settings = self
        if loop not in (None, self.loop) or strategy not in (None, self.strategy):
            new = Settings.of(loop=loop or self.loop, strategy=strategy or self.strategy)
        compiled = ("loop", "strategy", "logical_cpus", "jit_compile", "steps_per_execution")
        changed = {field: getattr(new, field) for field in compiled}
        return dataclasses.replace(self, name=name, resume=True, profile=False, **changed)

    def check_resumes(self, saved: "Settings") -> None:
        """Check that a run with the settings `saved` can go on with these.

        Raises:
            ValueError: a setting differs that would make it another run.
        """
        # The learning rate of each step of a cosine follows from the number of epochs.
        changed = CHANGED_BY_RESUME - ({"epochs"} if self.schedule == "cosine" else set())
        for field in dataclasses.fields(self):
            received, expected = getattr(self, field.name), getattr(saved, field.name)
            if field.name not in changed and received != expected:
                flag = f"--{field.name.replace('_', '-')}"
                raise ValueError(
                    f"{flag}: expected {expected!r}, as the run was begun with, or no {flag};"
                    f" received {received!r}"
                )

    @property
    def checkpoint_interval(self) -> tuple[int, str]:
        """The number and the unit, `epoch`, `step` or `s`, of `checkpoint_every`."""
        number, *units = EVERY.fullmatch(self.checkpoint_every).groups()  # type: ignore[union-attr]
        return int(number), next(filter(None, units))

    def validation_images(self, training_images: int) -> int:
        """Return how many of the training images to hold out.

        Raises:
            ValueError: too few are left for a batch.
        """
        size = self.validation_size
        held_out = min(5000, training_images // 10) if size == "auto" else size
        left = training_images - held_out
        if left < 1:
            raise ValueError(
                f"--validation-size: expected fewer than the {training_images:,} training images;"
                f" received {held_out:,}"
            )
        if self.batch_size > left:
            raise ValueError(
                f"--batch-size: expected at most the {left:,} training images"
                f" ({held_out:,} are held out for validation); received {self.batch_size:,}"
            )
        return held_out


def command_to_go_on(module: str, folder: Path) -> str:
    """Return the command of a module that goes on with what was interrupted in a folder."""
    command = ["python", "-m", module, "--resume", "--name", folder.name]
    command += ["--logdir", str(folder.parent)] if folder.parent != Settings.logdir else []
    return shlex.join(command)
