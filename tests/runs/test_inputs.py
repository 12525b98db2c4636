"""What the inputs of a trained model are like."""

import pytest
import tensorflow as tf

from kerasmlp.runs import inputs
from kerasmlp.runs.inputs import _is_like


def test_inputs_are_described_and_made_again():
    specs = {"a": tf.TensorSpec((None, 3, None), tf.float32), "b": [tf.TensorSpec((5,), tf.int64)]}
    described = inputs.described(specs)
    assert described == {"a": "float32 [3, None]", "b": ["int64 []"]}
    symbolic = inputs.symbolic(described)
    assert (symbolic["a"].shape, symbolic["a"].dtype) == ((None, 3, None), "float32")
    assert (symbolic["b"][0].shape, symbolic["b"][0].dtype) == ((None,), "int64")


@pytest.mark.parametrize(
    "expected, received, is_like",
    [
        ("float32 [None, 6]", "float64 [40, 9]", True),
        ("float32 [None, 6]", "int64 [40, 6]", False),
        ("uint8 [None]", "int64 [40]", True),
        ("float32 [None, 6]", "float32 [40]", False),
        ("float32 [None]", "float32 []", False),
        ({"a": "int64 [None]"}, {"a": "int32 [40]"}, True),
        ({"a": "int64 [None]"}, {"a": "float32 [40]"}, False),
        ({"a": "int64 [None]"}, {"b": "int64 [None]"}, False),
        ({"a": "int64 [None]"}, "int64 [None]", False),
        (["int64 [None]"], {"x": "int64 [None]"}, True),
    ],
)
def test_data_are_like_others_in_names_kinds_of_numbers_and_axes(expected, received, is_like):
    assert _is_like(expected, received) == is_like
