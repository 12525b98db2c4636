"""Runs really killed; `kills.py` does so as often as asked."""

import pytest

import kills
from helpers import cases


@pytest.mark.parametrize(
    "mode",
    cases(
        (
            *("fit@7", "fit+jit@7", "graph", "graph+jit", "eager", "accurate"),
            *("cnn graph", "two eager", "dataset fit+jit@3"),
        ),
        default=("graph",),
    ),
)
def test_a_killed_run_ends_as_if_it_had_not_been(mode, tmp_path):
    assert kills.killed_as_often(mode, 1, tmp_path / "logs", seed=0) >= 1
