"""The dashboard HParams: a row for each run, with its settings and its final metrics."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.plugins.hparams.api_pb2 import Status
from tensorboard.plugins.hparams.summary_v2 import HParam, Metric, hparams_config_pb, hparams_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from kerasmlp.tensorboard.events import Events

SETTINGS = (
    *("loop", "strategy", "jit_compile", "steps_per_execution", "data", "epochs", "batch_size"),
    *("learning_rate", "seed", "hidden_units", "sampling", "validation_size", "recipe", "quantize"),
    *("schedule", "weight_decay", "ema_momentum", "affine", "translation", "elastic"),
)
METRICS = (
    *("test_accuracy", "test_loss", "best_validation_accuracy", "best_validation_loss"),
    *("validation_accuracy", "validation_loss", "test_accuracy_standard_deviation"),
    *("test_accuracy_low", "test_accuracy_high"),
    *("accuracy", "loss", "seconds_per_epoch", "steps_per_second", "peak_megabytes"),
)
"""`accuracy` and `loss` are the training metrics of the last epoch, `validation_*` and `test_*` those of
the trained model. A row for several runs has their means, with standard deviation and confidence
interval."""


def of_run(settings: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run as HParams shows them, with the actual values in place of `auto`."""
    actual = {"data": "dataset", "validation_size": "validation_examples"}
    actual |= {name: name for name in ("jit_compile", "steps_per_execution")}
    units = {"hidden_units": " ".join(map(str, settings.get("hidden_units", ())))}
    return {**settings, **units, **{setting: metrics[name] for setting, name in actual.items()}}


def write(events: Events, sub_run: str, step: int, settings: Mapping[str, Any], metrics: Any) -> None:
    """Write the row of a finished run to a sub-run, at the last step.

    It has the settings in `SETTINGS`, and of the metrics, as far as they are not None, those in
    `METRICS` and the others of the trained model.

    Raises:
        OSError: the row cannot be written.
    """
    from tensorboard.plugins.hparams.summary import session_end_pb  # it imports TensorFlow

    others = (name for name, value in metrics.items() if isinstance(value, float))
    trained = (name for name in others if name.startswith(("test_", "validation_")))
    names = list(dict.fromkeys([*METRICS, *trained]))
    columns = hparams_config_pb(
        hparams=[HParam(setting) for setting in SETTINGS],
        metrics=[Metric(f"final/{name}", display_name=name) for name in names],
    )
    values = {
        setting: value if isinstance(value, int | float) else str(value)
        for setting, value in settings.items()
        if setting in SETTINGS
    }
    final = {f"final/{name}": metrics[name] for name in names if metrics.get(name) is not None}
    events.write(sub_run, step, scalar_pb, final)
    name = str(Path(events.folder.name, sub_run))
    session = hparams_pb(values, trial_id=name), session_end_pb(Status.STATUS_SUCCESS)
    events.add(sub_run, step, columns, *session)
