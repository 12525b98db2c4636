"""The step that replicas share."""

import json
from pathlib import Path

from helpers import python

HERE = Path(__file__).parent


def test_slices_of_all_sizes_make_the_step_of_one_device():
    done = python(HERE / "replicas.py", PYTHONPATH=str(HERE.parent))
    assert done.returncode == 0, done.stderr
    differences = json.loads(done.stdout)
    assert len(differences["ours"]) == 6
    assert max(differences["ours"]) < 1e-6, differences
    # In Keras' own a slice counts as much as one with more examples.
    assert differences["Keras' own"] > 1e-4
