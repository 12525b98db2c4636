import collections
import json

import keras
import numpy as np
import pytest

from kerasmlp.checkpoints import files
from kerasmlp.checkpoints.plain import from_json, to_json

VALUES = [
    None,
    0.1 + 0.2,
    [1, ("a", [True])],
    {1: "int", "1": "str", None: {}},
    np.float32(0.1),
    np.arange(6, dtype=np.int16).reshape(2, 3),
    keras.ops.convert_to_numpy(keras.ops.ones((2,), "bfloat16")),
    keras.ops.less,
]


def test_values_come_back_as_they_were(tmp_path):
    arrays = {}
    held = json.loads(json.dumps(to_json(VALUES, "values", arrays)))
    files.write(tmp_path / "step-1.npz", files.Contents(arrays, {}))
    arrays = files.read(tmp_path / "step-1.npz").arrays
    for received, expected in zip(from_json(held, arrays), VALUES, strict=True):
        assert type(received) is type(expected)
        if isinstance(expected, np.ndarray | np.generic):
            assert received.dtype == expected.dtype
            assert received.tobytes() == expected.tobytes()
        else:
            assert received == expected


def test_arrays_that_come_back_are_copies():
    arrays = {}
    held = to_json(np.zeros(2), "zeros", arrays)
    received = from_json(held, arrays)
    received += 1
    assert np.array_equal(from_json(held, arrays), [0, 0])


@pytest.mark.parametrize(
    "value", [{1}, {(1, 2): 3}, collections.Counter("a"), np.array([print], object), object()]
)
def test_what_a_checkpoint_cannot_hold_is_refused(value):
    with pytest.raises(TypeError, match=r"mine/0000: expected None, a number, .* received "):
        to_json([value], "mine", {})
