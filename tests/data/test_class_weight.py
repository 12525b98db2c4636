"""The weights of classes as weights of examples."""

import numpy as np
import pytest
import tensorflow as tf

from kerasmlp.data import Parts, weighted, weighted_dataset

WEIGHTS = {0: 2.0, 2: 0.5}
X = np.zeros((4, 3), np.float32)
LABELS = np.array([0, 1, 2, 2])
FORMS = {
    "integers": LABELS,
    "almost whole": LABELS - np.float32(0.4),
    "a column of floats": LABELS[:, None] + np.float32(0.4),
    "a column": LABELS[:, None],
    "floats": LABELS + np.float32(0.2),
    "one-hot": np.eye(3, dtype=np.float32)[LABELS],
    "bytes": LABELS.astype(np.uint8),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_example_has_the_weight_of_its_class_and_other_classes_have_1(form):
    x, y, weights = weighted(Parts((X, FORMS[form])), WEIGHTS).parts
    assert x is X
    assert y is FORMS[form]
    assert weights.dtype == np.float32
    assert weights.tolist() == [2.0, 1.0, 0.5, 0.5]
    batches = weighted_dataset(tf.data.Dataset.from_tensor_slices((X, FORMS[form])).batch(3), WEIGHTS)
    found = [(y.numpy(), weights.numpy().tolist()) for _, y, weights in batches]
    assert np.array_equal(np.concatenate([y for y, _ in found]), FORMS[form])
    assert [weights for _, weights in found] == [[2.0, 1.0, 0.5], [0.5]]


def test_weights_of_examples_or_no_labels_are_an_error():
    for parts in ((X, LABELS, np.ones(4)), (X,), (X, {"a": LABELS})):
        with pytest.raises(ValueError, match=r"class_weight: expected data \(x, y\) with one array"):
            weighted(Parts(parts), WEIGHTS)
    for parts in ((X, LABELS, np.ones(4)), (X, {"a": LABELS}), X):
        dataset = tf.data.Dataset.from_tensor_slices(parts).batch(2)
        with pytest.raises(ValueError, match=r"class_weight: expected a dataset of \(x, y\) with one"):
            weighted_dataset(dataset, WEIGHTS)


def test_class_weights_that_are_no_dict_are_an_error():
    dataset = tf.data.Dataset.from_tensors((X, LABELS))
    for weigh, data in ((weighted, Parts((X, LABELS))), (weighted_dataset, dataset)):
        with pytest.raises(ValueError, match=r"expected a dict .*; received \["):
            weigh(data, [1, 2])
