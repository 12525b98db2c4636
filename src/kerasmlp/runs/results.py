"""The results of a run: its evaluation, its model, its metrics, and TensorBoard's last events."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from kerasmlp import tensorboard
from kerasmlp.data import Examples, scale, unpacked
from kerasmlp.loops import History
from kerasmlp.models import MLP
from kerasmlp.runs import run_folder, saved_model
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
        "parameters": sum(math.prod(weight.shape) for weight in model.weights),
        "epochs": settings.epochs,
        **measured,
        "loop": settings.loop,
        "strategy": getattr(settings, "strategy", "none"),
        "jit_compile": model.jit_compile,
        "steps_per_execution": model.steps_per_execution,
        "seed": settings.seed,
        "inputs": saved_model.described(unpacked(task.batches.epoch(0).element_spec)[0]),
        **environment(),
    }
    saved_model.save(model, folder / run_folder.MODEL)
    run_folder.write_json(folder / run_folder.METRICS, metrics)
    _write_events(settings, task, record, metrics)
    return metrics


def _evaluated(name: str, model: keras.Model, data: tf.data.Dataset | None) -> dict[str, float]:
    """Return the metrics of a model on `data`. None without data."""
    logs = {} if data is None else model.evaluate(data, return_dict=True, verbose=0)
    return {f"{name}_{metric}": value for metric, value in logs.items()}


def _write_events(settings: RunSettings, task: Task, record: Record, metrics: Mapping[str, Any]) -> None:
    """Write what TensorBoard shows of the test examples, and the run's row in HParams."""
    test, events, shown = task.test, record.events, settings.summaries
    if test is not None:
        _write_test(task, test, record, metrics, shown)
    if "hparams" in shown:
        values = hparams.of_run(dataclasses.asdict(settings), metrics)
        hparams.write(events, ".", metrics["steps"], values, metrics)


def _write_test(
    task: Task, test: Examples, record: Record, metrics: Mapping[str, Any], shown: Sequence[str]
) -> None:
    """Write what TensorBoard shows of the test examples."""
    model, events, step = task.model, record.events, metrics["steps"]
    if "scalars" in shown:
        tested = {name: value for name, value in metrics.items() if name.startswith("test_")}
        values = {f"{name.removeprefix('test_')}/evaluation": each for name, each in tested.items()}
        events.write("test", step, scalar_pb, values)
    if "images" in shown:
        tensorboard.write_first_layer(events, "test", step, model, test)
        tensorboard.write_errors(events, "test", step, model, test)
    if "pr_curves" in shown:
        tensorboard.write_pr_curves(events, "test", step, model, test)
    if "projector" in shown and isinstance(model, MLP):
        said = test.predictions(model).argmax(axis=1)
        images = test.x[: projector.POINTS]
        activations = model.activations(scale(tf.constant(images))).numpy()
        events.add("test", step)  # TensorBoard shows no run without an event
        projector.write(record.folder / "test", activations, images, test.y, said)
