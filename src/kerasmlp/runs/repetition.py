"""A run repeated with several seeds: mean, standard deviation and confidence interval of its results."""

import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from kerasmlp.callbacks import resumable_by
from kerasmlp.runs import run_folder
from kerasmlp.runs.fields import at_least, require
from kerasmlp.runs.settings import Settings, filled_in
from kerasmlp.runs.training import train
from kerasmlp.runs.versions import environment

RESULT = "seeds.json"
CONFIDENCE = 0.95


@filled_in
@dataclasses.dataclass(frozen=True, kw_only=True)
class Repetition(Settings):
    """Train the handbook's MLP with several seeds, and print mean, standard deviation and confidence.

    All runs lie in one folder, each in a folder of its own. All flags of kerasmlp.train are understood.

    Args:
        seeds: Number of runs, with the seeds from --seed on.
    """

    seeds: Annotated[int, at_least(2)] = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        expected = "none or mirrored with kerasmlp.seeds"
        require(self, self.strategy != "multiworker", "strategy", expected)
        require(self, self.seed + self.seeds <= 2**31, "seeds", "no seed above 2147483647")

    def of_run(self, folder: Path, seed: int) -> Settings:
        """Return the settings of the run with that seed, in `folder`."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(Settings)}
        name = f"seed{seed}"
        begun = (folder / name / run_folder.SETTINGS).is_file()
        return Settings(**given | {"seed": seed, "logdir": folder, "name": name, "resume": begun})


def repeat(settings: Repetition) -> tuple[Path, dict[str, Any]]:
    """Train once for each seed. Return the folder of the runs, and the content of its `seeds.json`.

    With `resume`, runs that have ended are read, and the one that was interrupted is resumed.

    Raises:
        Exception: what `train` raises.
    """
    default_name = f"{settings.loop}-{settings.seeds}seeds"
    folder = settings.resumed_folder()
    if folder is None:
        folder = run_folder.create(settings.logdir, settings.name, default_name, settings.resume)
    with run_folder.locked(folder):
        run_folder.write_json(folder / run_folder.SETTINGS, dataclasses.replace(settings, resume=False))
        seeds = range(settings.seed, settings.seed + settings.seeds)
        runs = []
        for number, seed in enumerate(seeds, start=1):
            print(f"seed {seed}, {number} of {len(seeds)}", file=sys.stderr)
            runs.append(_run(settings, folder, seed))
        names = measured(runs[0])
        result = {
            "dataset": runs[0]["dataset"],
            "parameters": runs[0]["parameters"],
            "seeds": list(seeds),
            "runs": [{name: metrics[name] for name in names} for metrics in runs],
            **{name: statistics(runs, name) for name in names},
            **environment(),
        }
        run_folder.write_json(folder / RESULT, result)
        _write_hparams(settings, folder, runs[0], result)
    return folder, result


def _run(settings: Repetition, folder: Path, seed: int) -> dict[str, Any]:
    import keras

    of_run = settings.of_run(folder, seed)
    with contextlib.suppress(OSError, ValueError):
        metrics = json.loads((folder / str(of_run.name) / run_folder.METRICS).read_bytes())
        if metrics["epochs"] == settings.epochs:
            return metrics
    with resumable_by(run_folder.resume_command("kerasmlp.seeds", folder)):
        keras.backend.clear_session()
        return train(of_run)[1]


def measured(metrics: Mapping[str, Any]) -> list[str]:
    """Return the names of what is measured of a run: the metrics of the trained model, and the time."""
    numbers = [name for name, value in metrics.items() if isinstance(value, float)]
    trained = [name for of in ("test_", "validation_") for name in numbers if name.startswith(of)]
    return [*trained, "seconds_per_epoch"]


def statistics(runs: Sequence[Mapping[str, Any]], name: str) -> dict[str, float]:
    """Return mean, standard deviation (n - 1) and the confidence interval (Student's t) of the mean."""
    import numpy as np
    from scipy import stats

    values = np.array([metrics[name] for metrics in runs])
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * deviation / math.sqrt(len(values))
    return {"mean": mean, "standard_deviation": deviation, "low": mean - half, "high": mean + half}


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
    shown = hparams.of_run(dataclasses.asdict(settings), metrics)
    shown["seed"] = f"{result['seeds'][0]} to {result['seeds'][-1]}"
    for path in folder.glob(Path(run_folder.EVENTS).name):  # written before a resume
        path.unlink()
    with contextlib.closing(Events(folder, 0)) as events:
        hparams.write(events, ".", metrics["steps"], shown, means)
