"""Runs really killed; `kills.py` does so as often as asked."""

import random

import pytest

import kills
from helpers import cases


@pytest.mark.parametrize("mode", cases(kills.MODES, default=("fit+jit@7", "graph")))
def test_a_killed_run_ends_as_if_it_had_not_been(mode, tmp_path):
    runs = kills.Runs(mode, tmp_path / "logs")
    runs.finish("whole")
    killed, seed = 0, 0
    while not killed:
        killed, _ = kills.kill(runs, f"killed{seed}", random.Random(seed), 1.0)
        assert runs.result(f"killed{seed}") == runs.result("whole")
        seed += 1
