"""Train the handbook's MLP with one of the three loops, and write a run folder."""

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from kerasmlp import atomic, cli, run
from kerasmlp.config import RECIPES, LoopName, Settings, StrategyName, command_to_go_on

if TYPE_CHECKING:
    from kerasmlp.checkpoints import Checkpoints, Contents
    from kerasmlp.data import MNISTLoader
    from kerasmlp.distribution import Distribution
    from kerasmlp.events import Events
    from kerasmlp.recording import Training

AnySettings = TypeVar("AnySettings", bound=Settings)

MUCH_REMEMBERED = 0.05
"""From which part of untrained weights in their average on the user is told of it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""

    def command() -> None:
        settings = cli.parse(Settings, "kerasmlp.train", argv, defaults(argv, Settings))
        if settings.strategy == "multiworker":
            print("waiting for the other workers", file=sys.stderr)
        with cli.quiet_start(settings.verbose):
            from kerasmlp.distribution import distribution

            spread_over = distribution(settings.strategy, settings.logical_cpus)
        if not spread_over.is_chief:
            follow(settings, spread_over)
            return
        folder, metrics = train(settings, spread_over=spread_over)
        print(f"data: {metrics['dataset']}")
        print(f"run: {folder}")
        print(f"test accuracy: {metrics['test_accuracy']:f}")

    return cli.run(command)


def defaults(argv: Sequence[str] | None, kind: type[AnySettings]) -> AnySettings:
    """Return the settings where `argv` is silent: those of the recipe and the loop, or of the run."""
    choices = {"loop": get_args(LoopName), "strategy": get_args(StrategyName)}
    given = cli.peek(argv, recipe=list(RECIPES), **choices)
    place = cli.peek(argv, resume=(), name=None, logdir=None)
    if not {"resume", "name"} <= place.keys():
        return kind.of(**given)
    folder = run.existing(Path(place.get("logdir", Settings.logdir)), place["name"])
    return kind.read(folder / run.SETTINGS).resuming(
        place["name"], given.get("loop"), given.get("strategy")
    )


def train(
    settings: Settings, data: "MNISTLoader | None" = None, spread_over: "Distribution | None" = None
) -> tuple[Path, dict[str, Any]]:
    """Train as `settings` say; return the run folder and what is in its `metrics.json`.

    Args:
        settings: all that the run depends on, beside the data.
        data: to train on, instead of what `settings.data` names.
        spread_over: what `settings.strategy` asks for, if it is there already. Of the processes of
            a cluster, the chief calls this and the others `follow`.

    Raises:
        ValueError: the data is not what it should be, or does not fit the settings; or these are not
            those of the run that is to be resumed, or of the other workers; or none of its checkpoints
            is whole; or this process is not the chief.
        ConnectionError: another worker was lost.
        OSError: the data cannot be read, or the run folder cannot be written.
        FloatingPointError: a loss is infinite or NaN.
        MemoryError: memory ran out.
        Interrupted: SIGINT or SIGTERM came, and the run has been saved.
    """
    from kerasmlp import preparation, recording
    from kerasmlp.checkpoints import Checkpoints
    from kerasmlp.data import MNISTLoader
    from kerasmlp.distribution import distribution
    from kerasmlp.events import Events
    from kerasmlp.interruption import going_on_by

    spread_over = spread_over or distribution(settings.strategy, settings.logical_cpus)
    if not spread_over.is_chief:
        raise ValueError(
            f"expected to be called by the chief, worker 0; received worker {spread_over.worker}"
        )
    if settings.resume:
        folder = run.existing(settings.logdir, settings.name or "")
        settings.check_resumes(Settings.read(folder / run.SETTINGS))
    data = data or MNISTLoader(settings.data)
    with _memory_errors():
        model, batches, validation = preparation.prepared(settings, data)
        spread_over.expect_same(preparation.digest(settings, data.fingerprint), "settings and data")
        if not settings.resume:
            default_name = f"{settings.loop}-seed{settings.seed}"
            folder = run.create(settings.logdir, settings.name, default_name)
        training = recording.Training(settings, folder, model, batches, validation, data.fingerprint)
        with (
            run.locked(folder),
            going_on_by(command_to_go_on("kerasmlp.train", folder)),
            contextlib.closing(
                Checkpoints(folder / run.CHECKPOINTS, settings.keep_checkpoints)
            ) as checkpoints,
        ):
            resumed = checkpoints.newest() if settings.resume else None
            initial_step = _put_back(training, resumed)
            run.write_json(folder / run.SETTINGS, dataclasses.replace(settings, resume=False))
            with contextlib.closing(Events(folder, initial_step)) as events:
                recording.begin(training, events)
                _warn_of_a_short_average(settings, settings.epochs * batches.steps_per_epoch)
                known = _fit(training, spread_over, events, checkpoints, resumed)
                return folder, _finish(training, events, data, known)


def follow(settings: Settings, spread_over: "Distribution") -> None:
    """Take part in a training as a worker that is not the chief; write nothing.

    Raises:
        Exception: what `train` raises.
    """
    from kerasmlp import preparation
    from kerasmlp.data import MNISTLoader
    from kerasmlp.distribution import StopTogether
    from kerasmlp.interruption import Interruption

    data = MNISTLoader(settings.data)
    with _memory_errors(), Interruption(shared=True) as interruption:
        model, batches, _ = preparation.prepared(settings, data)
        spread_over.expect_same(preparation.digest(settings, data.fingerprint), "settings and data")
        together = [StopTogether(spread_over, interruption)]
        spread_over.loop(settings.loop)(model, batches, None, settings.epochs, together)


def _warn_of_a_short_average(settings: Settings, steps: int) -> None:
    remembered = settings.ema_momentum**steps
    if remembered > MUCH_REMEMBERED:
        print(
            f"note: after {steps:,} steps the average of the weights, which is the trained model, is to"
            f" {remembered:.0%} still of the untrained ones; --ema-momentum 0 takes none",
            file=sys.stderr,
        )


@contextlib.contextmanager
def _memory_errors() -> Iterator[None]:
    """Let it be a `MemoryError` when TensorFlow finds no memory, as it is when Python does."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError from error


def _fit(
    training: "Training",
    spread_over: "Distribution",
    events: "Events",
    checkpoints: "Checkpoints",
    resumed: "Contents | None",
) -> dict[str, Any]:
    """Train, from the checkpoint `resumed` if there is one; return what is known of it.

    The best weights are saved.
    """
    from kerasmlp import recording
    from kerasmlp.batches import in_order
    from kerasmlp.callbacks import Stopwatch
    from kerasmlp.distribution import StopTogether
    from kerasmlp.interruption import Interrupted, Interruption

    settings, held_out = training.settings, training.validation
    validation = in_order(held_out.images, held_out.labels) if held_out else None
    with Interruption(shared=spread_over.cluster is not None) as interruption:
        stopwatch = Stopwatch(settings.batch_size)
        callbacks = recording.callbacks(training, events, stopwatch, checkpoints, interruption, resumed)
        if spread_over.cluster is not None:
            callbacks.insert(0, StopTogether(spread_over, interruption))
        try:
            history = spread_over.loop(settings.loop)(
                training.model,
                training.batches,
                validation,
                settings.epochs,
                callbacks,
                events.initial_step,
            )
        except BaseException:
            for callback in callbacks:  # Keras leaves their files open
                with contextlib.suppress(Exception):
                    callback.on_train_end()
            raise
        if interruption.received is not None:
            raise Interrupted(interruption.received, "interrupted after the last step")
    _save_best(training, callbacks[-1].best_weights)
    return {
        "accuracy": history["accuracy"][-1],
        "loss": history["loss"][-1],
        "best_validation_accuracy": max(history.get("val_accuracy", ()), default=None),
        "best_validation_loss": min(history.get("val_loss", ()), default=None),
        "seconds_per_epoch": stopwatch.seconds_per_epoch,
        "seconds_to_first_step": stopwatch.seconds_to_first_step,
        "seconds_to_trace": stopwatch.seconds_to_trace,
        "seconds_to_compile": stopwatch.seconds_to_compile,
        "replicas": spread_over.replicas,
    }


def _put_back(training: "Training", resumed: "Contents | None") -> int:
    """Make model and files what they were at the checkpoint `resumed`; return the number of its step.

    Without one, the files become what they are before the first step.
    """
    from kerasmlp.loops import build
    from kerasmlp.training_state import put_variables

    if resumed is None:
        run.cut(training.folder, {})
        return 0
    state, steps = resumed.state, training.batches.steps_per_epoch
    if state["data"] != training.fingerprint:
        raise ValueError(
            f"--data: expected the data that the run was begun on; received {training.settings.data}"
        )
    epochs, begun = training.settings.epochs, -(-state["step"] // steps)
    if epochs < begun:
        raise ValueError(
            f"--epochs: expected at least {begun}, as many as the run has begun; received {epochs}"
        )
    if state["versions"] != run.versions():
        print(
            "warning: the run was begun with other versions, which may round otherwise",
            file=sys.stderr,
        )
    build(training.model, training.batches)
    put_variables(training.model, resumed.arrays, "model", "optimizer")
    run.cut(training.folder, state["files"])
    print(f"going on after step {state['step']:,} of {epochs * steps:,}", file=sys.stderr)
    return epochs * steps if state["stopped"] else int(state["step"])


def _save_best(training: "Training", weights: list[Any]) -> None:
    """Save the model with the best weights, without the optimizer, which is not of their epoch."""
    last = training.model.get_weights()
    training.model.set_weights(weights)
    with atomic.replacing(training.folder / run.CHECKPOINTS / run.BEST) as part:
        training.model.save(part, include_optimizer=False)
    training.model.set_weights(last)


def _finish(
    training: "Training", events: "Events", data: "MNISTLoader", known: dict[str, Any]
) -> dict[str, Any]:
    """Evaluate and save the trained model; return the metrics of the run, those `known` among them."""
    from kerasmlp import recording
    from kerasmlp.batches import in_order
    from kerasmlp.examples import Examples

    settings, folder, model = training.settings, training.folder, training.model
    held_out = training.validation

    def evaluated(name: str, images: Any, labels: Any) -> dict[str, float]:
        logs = model.evaluate(in_order(images, labels), return_dict=True, verbose=0)
        return {f"{name}_{metric}": logs[metric] for metric in ("accuracy", "loss")}

    metrics = {
        **evaluated("test", data.test_data, data.test_label),
        **(evaluated("validation", held_out.images, held_out.labels) if held_out else {}),
        "dataset": data.name,
        "validation_images": len(held_out.labels) if held_out else 0,
        "parameters": model.count_params(),
        "epochs": settings.epochs,
        "steps": int(model.optimizer.iterations),
        **known,
        "loop": settings.loop,
        "strategy": settings.strategy,
        "jit_compile": model.jit_compile,
        "steps_per_execution": model.steps_per_execution,
        "seed": settings.seed,
        **run.environment(),
    }
    with atomic.replacing(folder / run.MODEL) as part:
        model.save(part)
    run.write_json(folder / run.METRICS, metrics)
    recording.end(training, events, Examples(data.test_data, data.test_label), metrics)
    return metrics


if __name__ == "__main__":
    sys.exit(main())
