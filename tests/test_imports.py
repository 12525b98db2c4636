"""Which module may import which: an edge more is made here on purpose, or not at all."""

import ast
import subprocess
import sys
from pathlib import Path

import kerasmlp

SOURCE = Path(kerasmlp.__file__).parent

EDGES = {
    "__init__": set(),
    "__main__": set(),
    "agreement": {
        "batches",
        "callbacks",
        "follower",
        "hooks",
        "lockstep",
        "loops",
        "remote",
        "results",
        "rows",
        "short_calls",
    },
    "atomic": set(),
    "augmentation": set(),
    "batches": set(),
    "callbacks": {"hooks"},
    "causes": {"lockstep", "results"},
    "checkpointing": {"checkpoints", "hooks", "interruption", "training_state"},
    "checkpoints": {"atomic"},
    "cli": set(),
    "cluster": set(),
    "compare": {"cli", "comparison", "config", "data", "report", "rows"},
    "comparison": {
        "data",
        "loops",
        "model",
        "remote",
        "report",
        "results",
        "row_progress",
        "rows",
        "tables",
    },
    "config": set(),
    "cost": {"batches", "loops", "remote", "results", "rows"},
    "data": {"sources"},
    "distribution": {"cluster", "hooks", "interruption", "loops", "spread"},
    "events": set(),
    "export": {"atomic", "cli", "config", "examples", "formats", "parity", "run", "trained"},
    "examples": {"batches"},
    "evaluate": {"atomic", "batches", "cli", "evaluation", "run", "trained"},
    "evaluation": set(),
    "epoch_metrics": {"hooks", "results"},
    "execution": set(),
    "follower": {"batches", "causes", "epoch_metrics", "hooks", "lockstep", "results"},
    "formats": {"config", "model", "quantization"},
    "hooks": set(),
    "hparams": {"events"},
    "interruption": set(),
    "launch": {"cli", "cluster", "config", "interruption"},
    "lockstep": {"loops", "results"},
    "loops": {"execution", "hooks"},
    "model": {"quantization", "run"},
    "optimizers": set(),
    "parity": {"config", "runtimes"},
    "photos": set(),
    "pictures": set(),
    "predict": {"atomic", "batches", "cli", "model", "photos", "pictures"},
    "preparation": {
        "augmentation",
        "batches",
        "config",
        "data",
        "examples",
        "execution",
        "model",
        "optimizers",
    },
    "profiling": {"hooks"},
    "projector": {"atomic", "pictures"},
    "quantization": set(),
    "recording": {
        "batches",
        "callbacks",
        "checkpointing",
        "checkpoints",
        "config",
        "events",
        "examples",
        "hparams",
        "interruption",
        "model",
        "profiling",
        "projector",
        "run",
        "summaries",
    },
    "remote": set(),
    "report": {"events", "hparams", "lockstep", "results", "run", "tables"},
    "results": set(),
    "row_progress": {"rows"},
    "rows": {"batches", "cluster", "distribution", "loops", "remote"},
    "run": {"atomic"},
    "runtimes": set(),
    "short_calls": {"batches", "causes", "lockstep", "loops", "results"},
    "seeds": {"cli", "config", "events", "hparams", "interruption", "run", "train"},
    "sources": set(),
    "spread": {"execution", "hooks", "loops"},
    "summaries": {"callbacks", "events", "examples", "hooks", "pictures"},
    "train": {
        "atomic",
        "batches",
        "callbacks",
        "checkpoints",
        "cli",
        "config",
        "data",
        "distribution",
        "events",
        "examples",
        "interruption",
        "loops",
        "preparation",
        "recording",
        "run",
        "training_state",
    },
    "tables": {"results"},
    "trained": {"data", "model", "run"},
    "training_state": set(),
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_modules_import_only_what_lies_below_them():
    edges = {
        path.stem: {name.split(".")[1] for name in imported(path) if name.startswith("kerasmlp.")}
        for path in SOURCE.glob("*.py")
    }
    assert edges == EDGES


def test_the_package_the_settings_and_the_help_import_no_tensorflow():
    program = """
import sys
import kerasmlp, kerasmlp.config, kerasmlp.__main__, kerasmlp.train
try:
    kerasmlp.train.main(["--help"])
except SystemExit as exit:
    assert exit.code == 0, exit.code
assert not {"tensorflow", "keras", "numpy"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--steps-per-execution INT" in done.stdout


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    assert not hasattr(kerasmlp, "nonsense")
    assert kerasmlp.MLP.__name__ == "MLP"
