"""What the recipes reach, and what each part of `accurate` does, over several seeds: whole commands."""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.commands import trained

REACHED = {
    "default": "--seeds 10",
    "accurate": "--recipe accurate",
    "accurate, 800 units": "--recipe accurate --hidden-units 800 --learning-rate 0.005 --epochs 120",
}
"""Flags of kerasmlp.seeds."""
TIMES = {
    f"--epochs {epochs}": f"--recipe accurate --epochs {epochs}" for epochs in (5, 10, 30, 100, 200)
}
"""Flags of kerasmlp.train."""
SHORT = "--recipe accurate --epochs 20"
CHANGES = {
    "none": "",
    "no augmentation": "--affine 0 --translation 0 --elastic 0",
    "affine 0": "--affine 0",
    "translation 0": "--translation 0",
    "elastic 0": "--elastic 0",
    "constant learning rate": "--schedule constant",
    "no average of the weights": "--ema-momentum 0",
    "neither": "--schedule constant --ema-momentum 0",
    "batches of 50, learning rate 0.001": "--batch-size 50 --learning-rate 0.001",
    "weight decay 0.01": "--weight-decay 0.01",
}
"""Each a change to `SHORT`."""
ABLATIONS = {row: f"{SHORT} {change}" for row, change in CHANGES.items()}


def reach(data: str) -> dict[str, Any]:
    """Return what kerasmlp.seeds says of each row of `REACHED`."""
    found = {}
    with tempfile.TemporaryDirectory() as logs:
        for number, (row, flags) in enumerate(REACHED.items()):
            command = [sys.executable, "-m", "kerasmlp.seeds", "--data", data, "--summaries"]
            command += ["--logdir", logs, "--name", str(number), *flags.split()]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            result = json.loads(Path(logs, str(number), "seeds.json").read_bytes())
            found[row] = {
                name: result[name] for name in ("parameters", "seeds", "runs", "test_accuracy")
            }
    return found


def measure(data: str, rows: dict[str, str], seeds: int = 5) -> dict[str, Any]:
    """Train with each row's flags and each seed, a process each; return accuracies and times."""
    found: dict[str, Any] = {row: {"accuracy": [], "seconds": [], "epoch": []} for row in rows}
    for seed in range(seeds):
        for row, flags in rows.items():
            print(f"seed {seed}: {row}", file=sys.stderr)
            seconds, metrics = trained(data, seed, f"--summaries {flags}")
            found[row]["seconds"].append(seconds)
            found[row]["accuracy"].append(metrics["test_accuracy"])
            found[row]["epoch"].append(metrics["seconds_per_epoch"])
    return found


def reached_cells(row: dict[str, Any]) -> dict[str, str]:
    """Return what the table tells of what a recipe reaches."""
    accuracy = row["test_accuracy"]
    return {
        "parameters": f"{row['parameters']:,}",
        "seeds": str(len(row["seeds"])),
        "test accuracy": f"{accuracy['mean']:.2%} ± {accuracy['standard_deviation']:.2%}",
        "mean, 95 %": f"{accuracy['low']:.2%} to {accuracy['high']:.2%}",
    }


def cells(row: dict[str, Any], rows: dict[str, Any]) -> dict[str, str]:
    """Return what the table tells of a row: its cost as multiples of the first row's, within a round."""
    first = next(iter(rows.values()))
    accuracy = row["accuracy"]
    cost = statistics.median(a / b for a, b in zip(row["epoch"], first["epoch"], strict=True))
    return {
        "test accuracy": f"{statistics.mean(accuracy):.2%} ± {statistics.stdev(accuracy):.2%}",
        "s an epoch": f"{statistics.median(row['epoch']):.2f}",
        "x": f"{cost:.2f}",
        "s from start to end": f"{statistics.median(row['seconds']):.1f}",
    }
