"""A run repeated with several seeds: mean, standard deviation and confidence interval of its results."""

import contextlib
import dataclasses
import functools
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from kerasmlp.callbacks import resumable_by
from kerasmlp.runs import run_folder
from kerasmlp.runs.fields import at_least, require
from kerasmlp.runs.settings import Settings, filled_in
from kerasmlp.runs.training import train
from kerasmlp.runs.versions import environment
from kerasmlp.runs.workers import Start, Workers

CONFIDENCE = 0.95
NOT_NEGATIVE = ("accuracy", "loss", "seconds_per_epoch")
"""The ends of the names of metrics that are not below 0."""
FEW = 5
"""Fewer seeds say little: 4 leave a mean 3.2 standard errors, and 2 leave it 12.7."""


@filled_in
@dataclasses.dataclass(frozen=True, kw_only=True)
class Repetition(Settings):
    """Train the handbook's MLP with several seeds, and print mean, standard deviation and confidence.

    All runs lie in one folder, each in a folder of its own. All flags of kerasmlp.train are understood.

    Args:
        seeds: Number of runs, with the seeds from --seed on.
        jobs: Number of runs at a time, each in a process with its share of the cores. It changes how
            long it takes, and nothing of what is trained.
    """

    groups: ClassVar[dict[str, tuple[str, ...]]] = {"repetition": ("seeds", "jobs"), **Settings.groups}

    seeds: Annotated[int, at_least(2)] = 5
    jobs: Annotated[int, at_least(1)] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        expected = "none or mirrored with kerasmlp.seeds"
        require(self, self.strategy != "multiworker", "strategy", expected)
        require(self, self.seed + self.seeds <= 2**31, "seeds", "no seed above 2147483647")

    @property
    def all_seeds(self) -> range:
        """The seeds of the runs."""
        return range(self.seed, self.seed + self.seeds)

    def of_run(self, folder: Path, seed: int) -> Settings:
        """Return the settings of the run with that seed, in `folder`."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(Settings)}
        name = f"seed{seed}"
        begun = (folder / name).is_dir()
        return Settings(**given | {"seed": seed, "logdir": folder, "name": name, "resume": begun})


def repeat(settings: Repetition, start: Start = contextlib.nullcontext) -> tuple[Path, dict[str, Any]]:
    """Train once for each seed. Return the folder of the runs, and the content of its `seeds.json`.

    With `resume`, runs that have ended are read, and those that were interrupted are resumed.

    Args:
        settings: the settings of all runs.
        start: returns a context for the first import of Keras, in this process or those of the jobs.

    Raises:
        RemoteError: with several jobs, the process of a run died, or raised an error that `train` does
            not name.
        Exception: what `train` raises.
    """
    default_name = f"{settings.loop}-{settings.seeds}seeds"
    folder = settings.resumed_folder()
    if folder is None:
        folder = run_folder.create(settings.logdir, settings.name, default_name, settings.resume)
    resume_command = run_folder.resume_command("kerasmlp.seeds", folder)
    with run_folder.locked(folder), resumable_by(resume_command):
        run_folder.write_json(folder / run_folder.SETTINGS, dataclasses.replace(settings, resume=False))
        repeated = _one_by_one if settings.jobs == 1 else _side_by_side
        return folder, repeated(settings, folder, start)


def _one_by_one(settings: Repetition, folder: Path, start: Start) -> dict[str, Any]:
    with start():
        import keras  # noqa: F401
    runs = []
    for number, seed in enumerate(settings.all_seeds, start=1):
        print(f"seed {seed}, {number} of {settings.seeds}", file=sys.stderr)
        runs.append(_ended(settings, folder, seed) or _run(settings, folder, seed))
    return _finish(settings, folder, runs)


def _side_by_side(settings: Repetition, folder: Path, start: Start) -> dict[str, Any]:
    """Train in several processes. This process imports no TensorFlow."""
    ended = {seed: _ended(settings, folder, seed) for seed in settings.all_seeds}
    left = [seed for seed, metrics in ended.items() if metrics is None]
    calls = {f"seed {seed}": functools.partial(_run, settings, folder, seed) for seed in left}
    with Workers(max(1, min(settings.jobs, len(left))), start) as workers:
        if settings.model is None and settings.data in ("auto", "mnist"):
            workers.run({"data": functools.partial(_download, settings.data)})
        trained = workers.run(calls)
        runs = [metrics or trained[f"seed {seed}"] for seed, metrics in ended.items()]
        finish = functools.partial(_finish, settings, folder, runs)
        return workers.run({"results": finish})["results"]


def _download(data: str) -> None:
    """Let the data be on this machine, before several processes download it into the same file."""
    from kerasmlp.data import read_source

    read_source(data, any_arrays=False)


def _ended(settings: Repetition, folder: Path, seed: int) -> dict[str, Any] | None:
    """Return the metrics of a run that has ended; None if it has not."""
    path = folder / str(settings.of_run(folder, seed).name) / run_folder.METRICS
    metrics = run_folder.read_json(path)
    return metrics if metrics.get("epochs") == settings.epochs else None


def _run(settings: Repetition, folder: Path, seed: int) -> dict[str, Any]:
    import keras

    keras.backend.clear_session()
    return train(settings.of_run(folder, seed))[1]


def _finish(settings: Repetition, folder: Path, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Write what the runs have in common. Return the content of `seeds.json`."""
    names = measured(runs[0])
    result = {
        "dataset": runs[0]["dataset"],
        "parameters": runs[0]["parameters"],
        "seeds": list(settings.all_seeds),
        "runs": [{name: metrics[name] for name in names} for metrics in runs],
        **{name: statistics(runs, name) for name in names},
        **environment(),
    }
    run_folder.write_json(folder / run_folder.SEEDS, result)
    _write_hparams(settings, folder, runs[0], result)
    return result


def measured(metrics: Mapping[str, Any]) -> list[str]:
    """Return the names of what is measured of a run: the metrics of the trained model, and the time."""
    numbers = [name for name, value in metrics.items() if isinstance(value, float)]
    trained = [name for of in ("test_", "validation_") for name in numbers if name.startswith(of)]
    return [*trained, "seconds_per_epoch"]


def statistics(runs: Sequence[Mapping[str, Any]], name: str) -> dict[str, float]:
    """Return mean, standard deviation (n - 1) and the confidence interval (Student's t) of the mean.

    The interval is cut to what is possible: an accuracy is from 0 to 1, and loss and time are not below
    0; unless a value is so.
    """
    import numpy as np
    from scipy import stats

    values = np.array([metrics[name] for metrics in runs])
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * deviation / math.sqrt(len(values))
    is_share = name.endswith("accuracy") and values.max() <= 1
    least = 0.0 if name.endswith(NOT_NEGATIVE) and values.min() >= 0 else -math.inf
    return {
        "mean": mean,
        "standard_deviation": deviation,
        "low": max(mean - half, least),
        "high": min(mean + half, 1.0) if is_share else mean + half,
    }


def _write_hparams(
    settings: Repetition, folder: Path, metrics: Mapping[str, Any], result: Mapping[str, Any]
) -> None:
    from kerasmlp.tensorboard import Events, hparams

    if "hparams" not in settings.summaries:
        return
    means = {name: result[name]["mean"] for name in measured(metrics)}
    if accuracy := result.get("test_accuracy"):
        spread = ("standard_deviation", "low", "high")
        means |= {f"test_accuracy_{name}": accuracy[name] for name in spread}
    chosen = settings.chosen() | {"seeds": f"{result['seeds'][0]} to {result['seeds'][-1]}"}
    chosen.pop("seed", None)
    for path in folder.glob(Path(run_folder.EVENTS).name):  # written before a resume
        path.unlink()
    with contextlib.closing(Events(folder, 0)) as events:
        step = metrics["steps"]
        hparams.write_metrics(events, ".", step, means)
        hparams.write(events, ".", step, folder.name, settings.loop, chosen, means)
