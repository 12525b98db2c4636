"""What integers cost of the accuracy: floats, post-training, quantization-aware, over several seeds."""

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

SEEDS = 5
ROWS = {
    "float": ("none", "litert"),
    "int8, post-training": ("none", "litert-int8"),
    "int8, quantization-aware": ("int8", "litert-int8"),
    "int4 weights, post-training": ("none", "litert-int8"),
    "int4 weights, quantization-aware": ("int4", "litert-int8"),
}
"""What each row is trained for, and exported as. Weights of 4 bits lie in integers of 8."""


def measure(data: str) -> dict[str, Any]:
    """Train, export and run each row with each seed, on all test images of `data`, in LiteRT."""
    from kerasmlp.data import Examples
    from kerasmlp.exporting import IMAGES, formats, parity, writers
    from kerasmlp.models import calibrated
    from kerasmlp.runs import Settings, load_with_data, train

    found: dict[str, Any] = {row: [] for row in ROWS}
    with tempfile.TemporaryDirectory() as logs:
        for seed in range(SEEDS):
            models = {}
            for quantize in ("none", "int8", "int4"):
                print(f"seed {seed}: training, --quantize {quantize}", file=sys.stderr)
                folder, _ = train(
                    Settings(data=data, seed=seed, quantize=quantize, summaries=(), logdir=Path(logs))
                )
                models[quantize], loader = load_with_data(folder)
            test = Examples(loader.test_data, loader.test_label)
            images = loader.train_data[:IMAGES]
            for row, (quantize, format) in ROWS.items():
                model = models[quantize]
                probabilities = test.first(len(test.images)).probabilities(model)
                if row == "int4 weights, post-training":
                    model = calibrated(model, images.astype("float32") / 255, "int4")
                path = Path(logs, f"{seed} {row} {formats.FILES[format]}")
                writers.write(model, format, path, images)
                found[row].append(parity.measure(format, path, test.images, test.labels, probabilities))
    return {row: _summary(reports) for row, reports in found.items()}


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
