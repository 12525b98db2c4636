"""Train the handbook's MLP with one of the three loops, and write a run folder."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from kerasmlp import cli, run
from kerasmlp.config import RECIPES, LoopName, Settings

if TYPE_CHECKING:
    import keras

    from kerasmlp.batches import Batches
    from kerasmlp.callbacks import BatchLosses, ProgressLine, Stopwatch
    from kerasmlp.data import MNISTLoader


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""

    def command() -> None:
        given = cli.peek(argv, recipe=list(RECIPES), loop=get_args(LoopName))
        settings = cli.parse(Settings.of(**given), "kerasmlp.train", argv)
        with cli.quiet_start(settings.verbose):
            import keras  # noqa: F401
        folder, metrics = train(settings)
        print(f"data: {metrics['dataset']}")
        print(f"run: {folder}")
        print(f"test accuracy: {metrics['test_accuracy']:f}")

    return cli.run(command)


def train(settings: Settings, data: "MNISTLoader | None" = None) -> tuple[Path, dict[str, Any]]:
    """Train as `settings` say; return the run folder and what is in its `metrics.json`.

    Args:
        settings: all that the run depends on, beside the data.
        data: to train on, instead of what `settings.data` names.

    Raises:
        ValueError: the data is not what it should be, or does not fit the settings.
        OSError: the data cannot be read, or the run folder cannot be written.
        FloatingPointError: a loss is infinite or NaN.
    """
    import keras

    from kerasmlp.batches import in_order
    from kerasmlp.callbacks import BatchLosses, ProgressLine, Stopwatch
    from kerasmlp.data import MNISTLoader
    from kerasmlp.execution import responsive_steps
    from kerasmlp.loops import LOOPS
    from kerasmlp.model import compiled_mlp

    data = data or MNISTLoader(settings.data)
    batches, validation = _split(settings, data)
    keras.utils.set_random_seed(settings.seed)
    model = compiled_mlp(
        data.image_shape,
        data.classes,
        hidden_units=settings.hidden_units,
        learning_rate=settings.learning_rate,
        jit_compile=settings.jit_compile,
    )
    steps = settings.steps_per_execution
    if steps == "auto":
        steps = responsive_steps(model.count_params(), settings.batch_size, batches.images[0].nbytes)
        steps = min(steps, batches.steps_per_epoch)
    model.steps_per_execution = steps
    folder = run.create(settings.logdir, settings.name, f"{settings.loop}-seed{settings.seed}")
    run.write_json(folder / run.SETTINGS, settings)

    stopwatch = Stopwatch(settings.batch_size)
    batch_losses = BatchLosses()
    with ProgressLine(stopwatch) as progress:
        callbacks = default_callbacks(settings, folder, batches, stopwatch, batch_losses, progress)
        try:
            LOOPS[settings.loop](model, batches, validation, settings.epochs, callbacks)
        except BaseException:
            for callback in callbacks:  # Keras leaves their files open
                callback.on_train_end()
            raise

    test = model.evaluate(in_order(data.test_data, data.test_label), return_dict=True, verbose=0)
    metrics = {
        "test_accuracy": test["accuracy"],
        "test_loss": test["loss"],
        "dataset": data.name,
        "parameters": model.count_params(),
        "epochs": settings.epochs,
        "steps": int(model.optimizer.iterations),
        "seconds_per_epoch": stopwatch.seconds_per_epoch,
        "seconds_to_first_step": stopwatch.seconds_to_first_step,
        "seconds_to_trace": stopwatch.seconds_to_trace,
        "seconds_to_compile": stopwatch.seconds_to_compile,
        "loop": settings.loop,
        "jit_compile": model.jit_compile,
        "steps_per_execution": model.steps_per_execution,
        "seed": settings.seed,
        **run.environment(),
    }
    model.save(folder / run.MODEL)
    run.write_json(folder / run.METRICS, metrics)
    return folder, metrics


def _split(settings: Settings, data: "MNISTLoader") -> "tuple[Batches, Any]":
    """Return the training batches, and the validation data or None: the last of the training images."""
    from kerasmlp.batches import Batches, in_order

    images, labels = data.train_data, data.train_label
    held_out = settings.validation_images(len(images))
    kept = len(images) - held_out
    batches = Batches(
        images[:kept], labels[:kept], settings.batch_size, settings.seed, settings.sampling
    )
    return batches, in_order(images[kept:], labels[kept:]) if held_out else None


def default_callbacks(
    settings: Settings,
    folder: Path,
    batches: "Batches",
    stopwatch: "Stopwatch",
    batch_losses: "BatchLosses",
    progress: "ProgressLine",
) -> "list[keras.callbacks.Callback]":
    """Return the callbacks of a run, in the order in which they hear of a step."""
    import keras

    from kerasmlp.callbacks import Checkpoint, PrintBatchLoss, StopAtNonFinite
    from kerasmlp.summaries import TensorBoard

    checkpoints = folder / run.CHECKPOINTS
    checkpoints.mkdir()
    monitored = "loss" if settings.validation_size == 0 else "val_loss"
    callbacks = [stopwatch, batch_losses, progress]
    if settings.verbose:
        callbacks.append(PrintBatchLoss(batch_losses))
    return [
        *callbacks,
        StopAtNonFinite(batch_losses),
        TensorBoard(folder, batches.input_spec, stopwatch, batch_losses),
        keras.callbacks.CSVLogger(folder / run.HISTORY),
        Checkpoint(checkpoints, monitored),
    ]


if __name__ == "__main__":
    sys.exit(main())
