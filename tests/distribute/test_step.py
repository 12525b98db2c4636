"""The step that replicas share."""

import json
from pathlib import Path

import pytest

from helpers import cases, python

HERE = Path(__file__).parent


@pytest.mark.parametrize("count", cases((3, 6), default=()))
def test_slices_of_all_sizes_make_the_step_of_one_device(count):
    done = python(HERE / "replicas.py", count, PYTHONPATH=str(HERE.parent))
    assert done.returncode == 0, done.stderr
    differences = json.loads(done.stdout)
    assert len(differences["ours"]) == count
    assert max(differences["ours"]) < 1e-6, differences
    # In Keras' own a slice counts as much as one with more examples.
    assert differences["Keras' own"] > 1e-4
