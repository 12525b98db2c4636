"""A cluster of workers on this machine, beside runs of one process."""

import json
import subprocess
import sys

import numpy as np
import pytest

from helpers import newest, python
from kerasmlp.runs import run_folder

NEAR = 1e-5


class Cluster:
    """Runs the command, as workers or alone."""

    def __init__(self, logs, data="mnist5k"):
        self.logs, self.data = logs, data

    def command(self, workers, name, *flags):
        place = ["--logdir", self.logs, "--name", name]
        given = [] if "--resume" in flags else ["--data", self.data, "--summaries"]
        launch = ["-m", "kerasmlp.launch", "--workers", workers, "--", "train"]
        return [*(launch if workers else ["-m", "kerasmlp.train"]), *given, *place, *flags]

    def run(self, workers, name, *flags):
        return python(*self.command(workers, name, *flags))

    def start(self, workers, name, *flags):
        command = [sys.executable, *map(str, self.command(workers, name, *flags))]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def weights(self, name):
        arrays = newest(self.logs / name).arrays
        return {key: array for key, array in arrays.items() if key.startswith(("model/", "optimizer/"))}

    def metrics(self, name):
        return json.loads((self.logs / name / run_folder.METRICS).read_text())

    def apart(self, name, other):
        """The largest difference of a weight or a variable of the optimizer."""
        one, two = self.weights(name), self.weights(other)
        assert one.keys() == two.keys()
        return max(np.abs(one[key] - two[key]).max() for key in one)

    def assert_alike(self, name, other):
        assert self.apart(name, other) <= NEAR
        for metric in ("test_accuracy", "validation_accuracy", "accuracy", "steps"):
            assert self.metrics(name)[metric] == pytest.approx(self.metrics(other)[metric], abs=1e-9)
        assert self.metrics(name)["test_loss"] == pytest.approx(self.metrics(other)["test_loss"], 1e-5)
