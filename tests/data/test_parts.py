"""Examples in any form that fit takes."""

import collections

import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from kerasmlp.data import Batches, Examples, Parts

X = np.arange(14, dtype=np.float32).reshape(7, 2) % 5
RAGGED = tf.RaggedTensor.from_row_lengths(np.arange(9.0, dtype=np.float32), [2, 0, 1, 3, 1, 1, 1])
TEXTS = np.array(["a", "", "ccc", "dé", "e", "f", "g"], object)
KINDS = {
    "ragged": (RAGGED, lambda x: x.to_tensor(shape=[None, 3]).numpy(), RAGGED.to_tensor().numpy()),
    "scipy": (scipy.sparse.csr_matrix(X), lambda x: tf.sparse.to_dense(x).numpy(), X),
    "sparse": (tf.sparse.from_dense(X), lambda x: tf.sparse.to_dense(x).numpy(), X),
    "text": (TEXTS, lambda x: x.numpy(), np.array([text.encode() for text in TEXTS], object)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampling", ["shuffle", "in order", "replacement"])
def test_rows_of_any_kind_are_gathered(kind, sampling):
    given, dense, expected = KINDS[kind]
    (x,) = Parts.of({"a": given}).parts
    batches = Batches(x, None, 3, seed=4, sampling=sampling, are_images=False)
    assert not batches.has_groups or kind == "text"
    dataset = batches.epoch(0)
    assert batches.element_spec == dataset.element_spec
    for step, batch in enumerate(dataset):
        indices = batches.indices(tf.constant(step)).numpy()
        assert np.array_equal(dense(batch["a"]), expected[indices])


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_any_kind_are_read_in_order(kind):
    given, dense, expected = KINDS[kind]
    read = list(Examples(*Parts.of(given).padded, batch_size=4).in_order())
    assert np.array_equal(np.concatenate([dense(x) for x in read]), expected)


def test_a_part_of_the_examples():
    both = Parts.of([X, RAGGED], np.arange(7)).part(5, 7)
    (x, ragged), y = both.parts
    assert both.examples == 2
    assert np.array_equal(x, X[5:])
    assert ragged.to_list() == [[7.0], [8.0]]
    assert np.array_equal(y, [5, 6])


def test_optional_inputs_and_named_tuples_keep_their_structure():
    Pair = collections.namedtuple("Pair", "first second")
    x, y, _ = Parts.of({"a": None, "b": X}, Pair(X, X + 1)).part(1, 5).padded
    batches = Batches(x, y, 3, sampling="in order", are_images=False)
    assert batches.examples == 4
    assert not batches.has_groups
    for dataset in (batches.epoch(0), Examples(x, y, batch_size=3).in_order()):
        (x_batch, y_batch), (last, _) = dataset
        assert x_batch["a"] is None
        assert np.array_equal(x_batch["b"], X[1:4])
        assert np.array_equal(y_batch.second, X[1:4] + 1)
        assert np.array_equal(last["b"], X[4:5])


@pytest.mark.parametrize(
    "given, dtype, expected",
    [
        (np.array(["one"], object), "<U3", ["one"]),
        (np.array([b"a", b"bc"], object), "|S2", [b"a", b"bc"]),
        (["a", "bc"], "<U2", ["a", "bc"]),
        ([1.5, 2.5], "float32", [1.5, 2.5]),
        (np.float16([1.5]), "float16", [1.5]),
        ([True, False], "bool", [True, False]),
        (range(3), "int64", [0, 1, 2]),
    ],
)
def test_arrays_have_the_types_that_fit_gives_them(given, dtype, expected):
    (x,) = Parts.of(given).parts
    assert x.dtype == np.dtype(dtype)
    assert x.tolist() == expected


@pytest.mark.parametrize(
    "given, message",
    [
        ((np.array([], object),), r"at least one; received arrays of the shapes \(0,\)"),
        ((np.array([1, "a"], object),), "expected arrays of numbers, booleans or text; received object"),
        ((np.array([1j]),), "received complex128"),
        ((np.zeros((0, 3)),), "at least one"),
        ((3,), r"received arrays of the shapes \(\)"),
        ((None,), "at least one"),
        (([1, 2], [1]), r"of the shapes \(2,\), \(1,\)"),
    ],
)
def test_what_is_no_array_of_examples_is_an_error(given, message):
    with pytest.raises(ValueError, match=message):
        Parts.of(*given)


def test_there_are_as_many_parts_as_were_given():
    ones = np.ones(3)
    assert len(Parts.of(ones).parts) == 1
    assert len(Parts.of(ones, ones).parts) == 2
    assert len(Parts.of(ones, None, ones).parts) == 3
    _, y, sample_weight = Parts.of(ones, None, ones).padded
    assert y is None
    assert sample_weight.tolist() == [1, 1, 1]
    assert Parts.of(ones).padded[1:] == (None, None)
    assert Parts.of(X, RAGGED).are_dense is False
    assert Parts.of(X).are_dense


def test_the_fingerprint_tells_values_types_and_shapes_apart():
    ones = np.ones(6, np.float32)
    different = [
        (ones,),
        (ones.astype(np.int32),),
        (ones.reshape(2, 3),),
        (ones, ones),
        (np.float32([1, 1, 1, 1, 1, 2]),),
        (RAGGED,),
        (RAGGED[:, :1],),
        (scipy.sparse.csr_matrix(X),),
        (scipy.sparse.csr_matrix(X[:, ::-1]),),
    ]
    prints = [Parts.of(*parts).fingerprint() for parts in different]
    assert len(set(prints)) == len(different)
    assert Parts.of(ones.astype(np.float64)).fingerprint() == prints[0]


def test_epochs_of_some_steps_go_on_where_the_last_one_ended():
    some = Batches(X, None, 2, steps=3, are_images=False)
    whole = Batches(X, None, 2, are_images=False)
    passes = [batch.numpy() for epoch in range(3) for batch in whole.epoch(epoch)]
    epochs = [batch.numpy() for epoch in range(4) for batch in some.epoch(epoch)]
    assert len(epochs) == 12
    for batch, expected in zip(epochs, passes, strict=True):
        assert np.array_equal(batch, expected)
    assert np.array_equal(next(iter(some.epoch(1, first_step=2))), passes[5])


def test_in_order_is_the_order_of_the_examples():
    batches = Batches(X, np.arange(7), 4, sampling="in order", are_images=False)
    for epoch in (0, 5):
        labels = [y.numpy() for _, y in batches.epoch(epoch)]
        assert np.array_equal(np.concatenate(labels), np.arange(7))
    (count, (_, full)), (rest, (_, partial)) = batches.load(next(iter(batches.groups(2))), 2)
    assert (int(count), int(rest)) == (1, 1)
    assert np.array_equal(full[0], [0, 1, 2, 3])
    assert np.array_equal(partial[0], [4, 5, 6])
