import numpy as np
import pytest
import tensorflow as tf

from kerasmlp.data import tensors
from kerasmlp.data.packing import packed, unpacked
from kerasmlp.data.tensors import as_tensor, labels_as_tensor, scale


def test_bytes_are_scaled_the_same_with_and_without_xla():
    """Each result is the nearest float32 to the byte divided by 255."""
    images = np.arange(256, dtype=np.uint8)
    expected = (images / np.float64(255)).astype(np.float32)
    for jit_compile in (False, True):
        scaled = tf.function(lambda x: scale(x), jit_compile=jit_compile)(tf.constant(images))
        assert np.array_equal(scaled, expected)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64"])
def test_a_large_array_becomes_a_tensor_with_memory_of_its_own(dtype, monkeypatch):
    monkeypatch.setattr(tensors, "LARGE_ARRAY", 1)
    array = np.arange(3 * 4 * 5).reshape(3, 4, 5).astype(dtype)[:, :, :3]
    tensor = as_tensor(array)
    expected = array.copy()
    array[:] = 0
    assert tensor.dtype == array.dtype
    assert np.array_equal(tensor.numpy(), expected)
    assert np.array_equal(tf.gather(tensor, [2, 0]).numpy(), expected[[2, 0]])


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "S1"])
def test_labels_that_are_integers_have_32_bits(dtype):
    labels = np.array([0, 1, 2], "uint8").astype(dtype)
    tensor = labels_as_tensor(labels)
    assert tensor.dtype == {"float32": tf.float32, "S1": tf.string}.get(dtype, tf.int32)
    assert np.array_equal(tensor.numpy().astype(dtype), labels)


@pytest.mark.parametrize(
    "batch, parts",
    [
        (1, (1,)),
        ((1,), (1,)),
        ((1, None), (1,)),
        ((1, 2), (1, 2)),
        ((1, 2, None), (1, 2)),
        ((1, 2, 3), (1, 2, 3)),
        ((1, None, 3), (1, None, 3)),
        (
            ({"a": 1, "b": tf.experimental.Optional.empty(tf.TensorSpec([]))}, 2),
            ({"a": 1, "b": None}, 2),
        ),
    ],
)
def test_a_batch_has_the_parts_that_there_are(batch, parts):
    assert unpacked(batch) == parts


def test_parts_are_packed_as_fit_gives_them():
    assert packed(1) == 1
    assert packed(1, 2) == (1, 2)
    assert packed([1, {"a": [2]}], [3], 4) == ((1, {"a": (2,)}), (3,), 4)


def test_an_array_below_the_limit_or_of_text_is_copied_by_tensorflow(monkeypatch):
    texts = np.array(["one", "two"])
    monkeypatch.setattr(tensors, "LARGE_ARRAY", 1)
    assert as_tensor(texts).numpy().tolist() == [b"one", b"two"]
    monkeypatch.setattr(tensors, "LARGE_ARRAY", 24)
    made = []
    monkeypatch.setattr(tensors.tf, "constant", lambda array: made.append(array.nbytes))
    for size in (22, 23, 24, 25):
        as_tensor(np.zeros(size, np.uint8))
    assert made == [22, 23]
