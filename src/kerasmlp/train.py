"""Train the handbook's MLP, or a model of yours, with one of three loops; write a run folder."""

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kerasmlp import cli, distribute, flags, runs
from kerasmlp.runs import Settings, train

__all__ = ["Settings", "main", "train"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""

    begin = time.perf_counter()

    def command() -> None:
        default = Settings.starting_from(flags.peek(argv, **runs.DECIDING))
        settings = flags.parse(Settings, "kerasmlp.train", argv, default)
        if settings.strategy == "multiworker":
            print("waiting for the other workers", file=sys.stderr)
        from kerasmlp.data import read_ahead

        read_ahead(settings.data)  # while TensorFlow is imported
        with cli.quiet_start(settings.verbose):
            workers = distribute.distribution(settings.strategy, settings.logical_cpus)
        if not workers.is_chief:
            runs.follow(settings, workers)
            return
        folder, metrics = train(settings, workers=workers)
        print(f"data: {metrics['dataset']}")
        print(f"run: {folder}")
        tested = [name for name in metrics if name.startswith("test_")]
        for name in ("test_accuracy",) if settings.model is None else sorted(tested, reverse=True):
            print(f"{name.replace('_', ' ')}: {metrics[name]:f}")
        validated = metrics.get("validation_accuracy")
        seconds = f"{time.perf_counter() - begin:.1f} s in all"
        same = "" if validated is None else f"validation accuracy of these weights: {validated:.4f}; "
        print(f"{same}{seconds}", file=sys.stderr)
        print(f"next: {'; '.join(_next(settings.model, metrics['dataset'], folder))}", file=sys.stderr)

    return cli.run(command)


def _next(model: str | None, data: str, folder: Path) -> list[str]:
    """Return commands to go on with, with the paths of this run."""
    run, logs = shlex.quote(str(folder)), shlex.quote(str(folder.parent))
    ways = [f"tensorboard --logdir {logs}", f"kerasmlp evaluate {run}"]
    compare = f"kerasmlp compare --data {shlex.quote(data)}"
    if model:
        return [*ways, f"{compare} --model {model}"]
    return [*ways, f"kerasmlp predict {run} PHOTO", compare]


if __name__ == "__main__":
    sys.exit(main())
