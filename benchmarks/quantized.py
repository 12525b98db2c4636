"""What integers cost of the accuracy: floats, post-training, quantization-aware, over several seeds."""

import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from kerasmlp.data import Examples, MNISTLoader
from kerasmlp.exporting import FormatName, Parity, Served, parity, writers
from kerasmlp.models import calibrated
from kerasmlp.runs import Settings, train
from kerasmlp.runs.settings import QuantizeName

ROWS: dict[str, tuple[QuantizeName, FormatName]] = {
    "float": ("none", "litert"),
    "int8, post-training": ("none", "litert-int8"),
    "int8, quantization-aware": ("int8", "litert-int8"),
    "int4 weights, post-training": ("none", "litert-int8"),
    "int4 weights, quantization-aware": ("int4", "litert-int8"),
}
"""What each row is trained for, and exported as. Weights of 4 bits lie in integers of 8."""


def measure(data: str, seeds: int = 5) -> dict[str, Any]:
    """Train, export and run each row with each seed, on all test images of `data`, in LiteRT."""
    loader = MNISTLoader(data)
    found: dict[str, list[Parity]] = {row: [] for row in ROWS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            trained = {
                quantize: _trained(
                    Settings(data=data, seed=seed, quantize=quantize), Path(folder), loader
                )
                for quantize in get_args(QuantizeName)
            }
            for row, (quantize, format) in ROWS.items():
                served = trained[quantize]
                if row == "int4 weights, post-training":
                    pixels = served.training_x.astype("float32") / 255
                    model = calibrated(served.model, pixels, "int4")
                    model.compile()  # as those of runs are
                    served = replace(served, model=model)
                path = Path(folder, f"{seed} {row}.tflite")
                writers.write(served, format, path)
                found[row].append(parity.measure(served, format, path))
    return {row: _summary(reports) for row, reports in found.items()}


def _trained(settings: Settings, logdir: Path, loader: MNISTLoader) -> Served:
    """Train a model, and return it with all test images."""
    print(f"seed {settings.seed}: training, --quantize {settings.quantize}", file=sys.stderr)
    folder, _ = train(replace(settings, summaries=(), logdir=logdir))
    served = Served.of_run(folder)
    test = Examples(loader.test_data, loader.test_label, are_images=True)
    return replace(served, x=test.x, labels=test.y, outputs=[test.predictions(served.model)])


def _summary(reports: list[Any]) -> dict[str, Any]:
    accuracy = [report.accuracy for report in reports]
    return {
        "accuracy": accuracy,
        "mean": statistics.mean(accuracy),
        "standard_deviation": statistics.stdev(accuracy),
        "bytes": max(report.bytes for report in reports),
        "milliseconds_1": statistics.median(report.milliseconds_1 for report in reports),
        "milliseconds_1000": statistics.median(report.milliseconds_1000 for report in reports),
    }


def cells(row: dict[str, Any]) -> dict[str, str]:
    """Return what the table tells of a row."""
    return {
        "test accuracy": f"{row['mean']:.2%} ± {row['standard_deviation']:.2%}",
        "bytes": f"{row['bytes']:,}",
        "ms, 1 image": f"{row['milliseconds_1']:.3f}",
        "ms, 1,000 images": f"{row['milliseconds_1000']:.2f}",
    }
