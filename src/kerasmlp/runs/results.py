"""The results of a run: its evaluation, its model, its metrics, and TensorBoard's last events."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerasmlp import tensorboard
from kerasmlp.data import Examples, scale, unpacked
from kerasmlp.loops import History
from kerasmlp.models import MLP
from kerasmlp.runs import inputs, run_folder, saved_model
from kerasmlp.runs.record import Record
from kerasmlp.runs.run_settings import RunSettings
from kerasmlp.runs.task import Task
from kerasmlp.runs.versions import environment
from kerasmlp.tensorboard import hparams, projector


def save_best(model: keras.Model, weights: list[Any], folder: Path) -> None:
    """Save the model with its best weights, without the optimizer, which belongs to the last weights."""
    last = model.get_weights()
    model.set_weights(weights)
    saved_model.save(model, folder / run_folder.CHECKPOINTS / run_folder.BEST, include_optimizer=False)
    model.set_weights(last)


def of_history(history: History) -> dict[str, Any]:
    """Return the metrics of the last epoch, and the best of the validation."""
    return {
        **{name: values[-1] for name, values in history.items() if not name.startswith("val_")},
        "best_validation_accuracy": max(history.get("val_accuracy", ()), default=None),
        "best_validation_loss": min(history.get("val_loss", ()), default=None),
    }


def finish(
    settings: RunSettings, task: Task, record: Record, measured: Mapping[str, Any]
) -> dict[str, Any]:
    """Evaluate and save the trained model. Return the metrics of the run, with those `measured`.

    Raises:
        OSError: a file cannot be written.
    """
    model, folder = task.model, record.folder
    metrics = {
        **_evaluated("test", model, task.test and task.test.in_order()),
        **_evaluated("validation", model, task.validation),
        "dataset": task.data,
        "validation_examples": task.validation_examples,
        "model": model.name,
        "parameters": sum(math.prod(weight.shape) for weight in model.weights),
        "epochs": settings.epochs,
        **measured,
        "loop": settings.loop,
        "strategy": getattr(settings, "strategy", "none"),
        "jit_compile": model.jit_compile,
        "steps_per_execution": model.steps_per_execution,
        "seed": settings.seed,
        "inputs": inputs.described(unpacked(task.batches.element_spec)[0]),
        **environment(),
    }
    saved_model.save(model, folder / run_folder.MODEL)
    run_folder.write_json(folder / run_folder.METRICS, metrics)
    _write_events(settings, task, record, metrics)
    from kerasmlp.runs import history  # imports matplotlib

    history.write(folder, metrics)
    return metrics


def _evaluated(name: str, model: keras.Model, data: tf.data.Dataset | None) -> dict[str, float]:
    """Return the metrics of a model on `data`. None without data."""
    logs = {} if data is None else model.evaluate(data, return_dict=True, verbose=0)
    return {f"{name}_{metric}": value for metric, value in logs.items()}


def _write_events(settings: RunSettings, task: Task, record: Record, metrics: Mapping[str, Any]) -> None:
    """Write what TensorBoard shows of the test examples, and the run's row in HParams."""
    events, shown, step = record.events, settings.summaries, metrics["steps"]
    if task.test is not None:
        _write_test(task, task.test, record, step, shown)
    if "scalars" in shown or "hparams" in shown:
        hparams.write_metrics(events, "train", step, metrics)
    if "hparams" in shown:
        data = {} if task.data == "mnist" else {"data": Path(task.data).name}
        chosen, name = settings.chosen() | data, record.folder.name
        hparams.write(events, "train", step, name, settings.loop, chosen, metrics)


def _write_test(task: Task, test: Examples, record: Record, step: int, shown: Sequence[str]) -> None:
    """Write what TensorBoard shows of the test examples."""
    model, events = task.model, record.events
    if "images" in shown:
        tensorboard.write_first_layer(events, "train", step, model, test, "trained")
        tensorboard.write_errors(events, "train", step, model, test, "trained")
    if "pr_curves" in shown:
        tensorboard.write_pr_curves(events, "train", step, model, test, "trained/pr")
    if "projector" in shown and isinstance(model, MLP):
        said = test.predictions(model).argmax(axis=1)
        images = test.x[: projector.POINTS]
        activations = model.activations(scale(tf.constant(images))).numpy()
        events.add("train", step)  # TensorBoard shows no run without an event
        projector.write(record.folder / "train", activations, images, test.y, said)
