"""Train with several seeds, and say what the accuracy is and how far chance moves it."""

import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasmlp import cli, run, train
from kerasmlp.config import Settings, command_to_go_on, expect

if TYPE_CHECKING:
    from rich.table import Table

RESULT = "seeds.json"
CONFIDENCE = 0.95
MEASURED = ("test_accuracy", "test_loss", "validation_accuracy", "validation_loss", "seconds_per_epoch")


@dataclasses.dataclass(frozen=True)
class Repetition(Settings):
    """Train the handbook's MLP once for each seed, and print mean, standard deviation and confidence.

    The runs lie in one folder, each in a folder of its own. All flags of kerasmlp.train are understood.

    Args:
        seeds: How many runs, with the seeds from --seed on.
    """

    seeds: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        expect(self, self.strategy != "multiworker", "strategy", "none or mirrored with kerasmlp.seeds")
        expect(self, 2 <= self.seeds <= 2**31 - self.seed, "seeds", "at least 2, up to seed 2147483647")

    def of_run(self, folder: Path, seed: int) -> Settings:
        """Return the settings of the run with that seed, below `folder`."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(Settings)}
        name = f"seed{seed}"
        begun = (folder / name / run.SETTINGS).is_file()
        return Settings(**given | {"seed": seed, "logdir": folder, "name": name, "resume": begun})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""

    def command() -> None:
        settings = cli.parse(Repetition, "kerasmlp.seeds", argv, train.defaults(argv, Repetition))
        with cli.quiet_start(settings.verbose):
            import keras  # noqa: F401
        folder, result = repeat(settings)
        from rich.console import Console

        print(f"data: {result['dataset']}")
        print(f"runs: {folder}")
        Console().print(table(result))

    return cli.run(command)


def repeat(settings: Repetition) -> tuple[Path, dict[str, Any]]:
    """Train once for each seed; return the folder of the runs and what is in its `seeds.json`.

    With `resume`, runs that have ended are read, and the one that was interrupted goes on.

    Raises:
        Exception: what `train` raises.
    """
    if settings.resume:
        folder = run.existing(settings.logdir, settings.name or "")
        settings.check_resumes(Repetition.read(folder / run.SETTINGS))
    else:
        default_name = f"{settings.loop}-{settings.seeds}seeds"
        folder = run.create(settings.logdir, settings.name, default_name)
    with run.locked(folder):
        run.write_json(folder / run.SETTINGS, dataclasses.replace(settings, resume=False))
        seeds = range(settings.seed, settings.seed + settings.seeds)
        runs = []
        for number, seed in enumerate(seeds, start=1):
            print(f"seed {seed}, {number} of {len(seeds)}", file=sys.stderr)
            runs.append(_run(settings, folder, seed))
        result = {
            "dataset": runs[0]["dataset"],
            "parameters": runs[0]["parameters"],
            "seeds": list(seeds),
            "runs": [{name: metrics[name] for name in MEASURED if name in metrics} for metrics in runs],
            **{name: statistics(runs, name) for name in MEASURED if name in runs[0]},
            **run.environment(),
        }
        run.write_json(folder / RESULT, result)
        _write_hparams(settings, folder, runs[0], result)
    return folder, result


def _run(settings: Repetition, folder: Path, seed: int) -> dict[str, Any]:
    """Return the metrics of the run with that seed; train what is not trained yet of it."""
    import keras

    from kerasmlp.interruption import going_on_by

    of_run = settings.of_run(folder, seed)
    with contextlib.suppress(OSError, ValueError):
        metrics = json.loads((folder / str(of_run.name) / run.METRICS).read_bytes())
        if metrics["epochs"] == settings.epochs:
            return metrics
    with going_on_by(command_to_go_on("kerasmlp.seeds", folder)):
        keras.backend.clear_session()
        return train.train(of_run)[1]


def statistics(runs: Sequence[Mapping[str, Any]], name: str) -> dict[str, float]:
    """Return mean, standard deviation (n - 1) and the confidence interval (Student's t) of the mean."""
    import numpy as np
    from scipy import stats

    values = np.array([metrics[name] for metrics in runs])
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * deviation / math.sqrt(len(values))
    return {"mean": mean, "standard_deviation": deviation, "low": mean - half, "high": mean + half}


def table(result: Mapping[str, Any]) -> "Table":
    """Return the runs and what they say together, as a table."""
    from rich.table import Table

    names = [name for name in MEASURED if name in result]
    drawn = Table()
    for name in ("seed", *names):
        drawn.add_column(name.replace("_", " "), justify="right")
    for seed, metrics in zip(result["seeds"], result["runs"], strict=True):
        drawn.add_row(str(seed), *(f"{metrics[name]:.4f}" for name in names))
    drawn.add_section()
    rows = {
        "mean": "mean",
        "standard deviation": "standard_deviation",
        f"{CONFIDENCE:.0%} from": "low",
        "to": "high",
    }
    for title, statistic in rows.items():
        drawn.add_row(title, *(f"{result[name][statistic]:.4f}" for name in names))
    return drawn


def _write_hparams(
    settings: Repetition, folder: Path, metrics: Mapping[str, Any], result: Mapping[str, Any]
) -> None:
    """Write the row in HParams of all runs, beside that of each."""
    from kerasmlp import hparams
    from kerasmlp.events import Events

    if "hparams" not in settings.summaries:
        return
    means = {name: result[name]["mean"] for name in MEASURED if name in result}
    accuracy = result["test_accuracy"]
    means |= {f"test_accuracy_{name}": accuracy[name] for name in ("standard_deviation", "low", "high")}
    shown = hparams.of_run(dataclasses.asdict(settings), metrics)
    shown["seed"] = f"{result['seeds'][0]} to {result['seeds'][-1]}"
    for path in folder.glob(Path(run.EVENTS).name):  # of the time before a resume
        path.unlink()
    with contextlib.closing(Events(folder, 0)) as events:
        hparams.write(events, folder.name, ".", metrics["steps"], shown, means)


if __name__ == "__main__":
    sys.exit(main())
