"""The dashboard HParams: a row for each run, with its settings and its final metrics."""

from collections.abc import Mapping
from typing import Any

from tensorboard.plugins.hparams.api_pb2 import Status
from tensorboard.plugins.hparams.summary_v2 import HParam, Metric, hparams_config_pb, hparams_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from kerasmlp.tensorboard.events import Events

HYPERPARAMETERS = ("loop", "settings")
"""The columns before the metrics. TensorBoard opens with the first five of them, and then as many
metrics as there is room for: with a column for each setting, there would be none."""
METRICS = (
    *("test_accuracy", "seconds_per_epoch", "accuracy", "validation_loss", "test_loss"),
    *("validation_accuracy", "loss", "best_validation_accuracy", "best_validation_loss"),
    *("test_accuracy_standard_deviation", "test_accuracy_low", "test_accuracy_high"),
    *("steps_per_second", "peak_megabytes"),
)
"""`accuracy` and `loss` are the training metrics of the last epoch, `validation_*` and `test_*` those of
the trained model. A row for several runs has their means, with standard deviation and confidence
interval."""


def write(
    events: Events,
    sub_run: str,
    step: int,
    name: str,
    loop: str,
    settings: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> None:
    """Write the row of a finished run to a sub-run, at the last step.

    It has those of the metrics that `final` returns. TensorBoard takes the columns of the first run that
    it reads, so that they have the same order for every run.

    Args:
        name: what the row is called.
        loop: the training loop.
        settings: what tells the run from others.

    Raises:
        OSError: the row cannot be written.
    """
    from tensorboard.plugins.hparams.summary import session_end_pb  # it imports TensorFlow

    columns = dict.fromkeys([*METRICS, *final(metrics)])
    shown = hparams_config_pb(
        hparams=[HParam(column) for column in HYPERPARAMETERS],
        metrics=[Metric(f"trained/{column}", display_name=column) for column in columns],
    )
    values = {"loop": loop, "settings": ", ".join(map(_in_words, settings.items())) or "default"}
    session = hparams_pb(values, trial_id=name), session_end_pb(Status.STATUS_SUCCESS)
    events.add(sub_run, step, shown, *session)


def write_metrics(events: Events, sub_run: str, step: int, metrics: Mapping[str, Any]) -> None:
    """Write the metrics of a finished run as scalars, which HParams reads too."""
    values = {f"trained/{name}": value for name, value in final(metrics).items()}
    events.write(sub_run, step, scalar_pb, values)


def final(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return those in `METRICS`, as far as they are not None, and the others of the trained model."""
    others = (name for name, value in metrics.items() if isinstance(value, float))
    trained = (name for name in others if name.startswith(("test_", "validation_")))
    names = dict.fromkeys([*METRICS, *trained])
    return {name: metrics[name] for name in names if metrics.get(name) is not None}


def _in_words(setting: tuple[str, Any]) -> str:
    name, value = setting
    return f"{name} {' '.join(map(str, value)) if isinstance(value, list | tuple) else value}"
