"""Data of any form that fit takes are read as fit reads them."""

import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from kerasmlp.comparison.start import start_from
from kerasmlp.comparison.user_data import _is_dataset, as_data, with_class_weight

own_data = types.ModuleType("own_data")
own_data.table = lambda: (X, Y)
X = np.arange(10, dtype=np.uint8).reshape(5, 2)
Y = np.array([0, 1, 2, 1, 0])


def batches(data, **options):
    """All batches of the first epoch, as arrays, in the order of the examples."""
    with start_from("nowhere:model", data, 5, 0, **options) as start:
        (batch,) = start.batches().epoch(0)
        return tf.nest.map_structure(np.asarray, batch)


def test_bytes_and_labels_stay_as_they_are():
    x, y = batches((X, Y))
    assert (x.dtype, y.dtype) == (np.uint8, np.int64)
    order = np.argsort(x[:, 0])
    assert np.array_equal(x[order], X)
    assert np.array_equal(y[order], Y)


def test_floats_get_the_type_of_keras_weights():
    x = batches(X.astype(np.float64))
    assert x.dtype == np.float32


def test_lists_are_inputs_and_tuples_are_data_sets(tmp_path):
    train, test, _ = as_data(([X, X + 1], [Y, Y]), tmp_path)
    assert test is None
    assert [len(part) for part in train.parts] == [2, 2]
    train, test, _ = as_data(((X, Y), (X[:2], Y[:2])), tmp_path)
    assert (train.examples, test.examples) == (5, 2)


def test_x_alone_and_dicts():
    x = batches({"a": X, "b": Y})
    assert set(x) == {"a", "b"}
    assert np.array_equal(np.sort(x["b"]), np.sort(Y))


def test_a_file_of_any_arrays(tmp_path):
    path = tmp_path / "table.npz"
    np.savez(path, x_train=X / 2, y_train=Y / 2, x_test=X[:2] / 2, y_test=Y[:2] / 2)
    train, test, are_images = as_data(str(path), tmp_path)
    assert np.array_equal(train.parts[0], X / 2)
    assert np.array_equal(test.parts[1], Y[:2] / 2)
    assert not are_images


def test_data_are_made_by_a_function_or_by_one_of_a_name(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "own_data", own_data)
    for data in (lambda: (X, Y), "own_data:table"):
        train, test, are_images = as_data(data, tmp_path)
        assert np.array_equal(train.parts[0], X) and np.array_equal(train.parts[1], Y)
        assert (test, are_images) == (None, False)
    path = tmp_path / "own_data:table.npz"  # a file may have a name like that of a function
    with path.open("wb") as file:
        np.savez(file, x_train=X / 2, y_train=Y, x_test=X[:2] / 2, y_test=Y[:2])
    train, test, _ = as_data(str(path), tmp_path)
    assert np.array_equal(train.parts[0], X / 2) and test.examples == 2
    assert as_data(path, tmp_path)[1].examples == 2


def test_what_has_only_a_part_of_a_dataset_is_none():
    assert _is_dataset(tf.data.Dataset.range(1))
    assert not _is_dataset(types.SimpleNamespace(cardinality=len))
    assert not _is_dataset(types.SimpleNamespace(element_spec=tf.TensorSpec([])))


def test_two_datasets_are_data_sets_in_folders_of_their_own(tmp_path):
    one, other = (tf.data.Dataset.from_tensor_slices((X[:n], Y[:n])).batch(2) for n in (5, 3))
    train, test, are_images = as_data((one, other), tmp_path / "train")
    assert (train.folder, test.folder) == (tmp_path / "train", tmp_path / "test")
    assert (train.examples, test.examples, are_images) == (5, 3, False)
    train, test, _ = as_data((one, (X, Y)), tmp_path / "other" / "train")
    assert (train.batch_size, test.examples) == (2, 5)


@pytest.mark.parametrize("data, kind", [(None, "NoneType"), (iter([X]), "list_iterator")])
def test_what_can_be_read_only_once_or_is_nothing_is_refused(data, kind, tmp_path):
    with pytest.raises(
        ValueError, match=f"^data: expected arrays, a tf.data.Dataset .*; received {kind}$"
    ):
        as_data(data, tmp_path)
    with pytest.raises(ValueError, match=r"received a tuple of 0$"):
        as_data((), tmp_path)


def test_class_weights_are_sample_weights(tmp_path):
    weighted = with_class_weight(as_data((X, Y), tmp_path)[0], {0: 0.5, 2: 3}, tmp_path / "w")
    assert np.array_equal(weighted.parts[2], np.float32([0.5, 1, 3, 1, 0.5]))
    one_hot = with_class_weight(as_data((X, np.eye(3)[Y]), tmp_path)[0], {0: 0.5, 2: 3}, tmp_path)
    assert np.array_equal(one_hot.parts[2], weighted.parts[2])
    named = with_class_weight(as_data(({"a": X}, Y), tmp_path)[0], {0: 0.5, 2: 3}, tmp_path)
    assert np.array_equal(named.parts[2], weighted.parts[2])
    with pytest.raises(ValueError, match="with one array of labels, without sample_weight"):
        with_class_weight(as_data((X, {"a": Y}), tmp_path)[0], {0: 0.5}, tmp_path)
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)
    _, _, weights = batches(dataset, class_weight={0: 0.5, 2: 3})
    assert np.array_equal(weights, weighted.parts[2])


def test_only_the_images_of_a_source_are_scaled(mnist5k, tmp_path):
    train, test, are_images = as_data(((X, Y), (X[:2], Y[:2])), tmp_path / "pair")
    assert (train.examples, test.examples, are_images) == (5, 2, False)
    assert as_data((X, Y), tmp_path)[1:] == (None, False)
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)
    assert as_data(dataset, tmp_path / "one")[1:] == (None, False)
    assert as_data(mnist5k, tmp_path)[2] is True


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, Y[:3]), "the same number of examples in x, y and sample_weight"),
        ((X[:0], Y[:0]), "at least one"),
        ((X, Y, Y, Y), "received a tuple of 4"),
        ((np.array([object()] * 5), Y), "arrays of numbers, booleans or text; received object"),
        (np.float32(1), "at least one"),
    ],
    ids=["lengths", "empty", "parts", "objects", "scalar"],
)
def test_wrong_data_are_refused(data, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        as_data(data, tmp_path)
