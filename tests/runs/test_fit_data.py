"""The data of `kerasmlp.fit`: their batches, what is held out, and how many steps an epoch has."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

from kerasmlp.runs.fit_data import _fewer_steps, fit_data
from kerasmlp.runs.fit_settings import FitSettings

X = np.arange(20, dtype=np.uint8).reshape(10, 2)
Y = np.arange(10) % 3
DATASET = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)


def data(x=X, y=Y, sample_weight=None, class_weight=None, validation_data=None, **given):
    settings = FitSettings(**{"batch_size": 4, "shuffle": False, **given})
    return fit_data(settings, x, y, sample_weight, class_weight, validation_data)


def read(batches):
    """The inputs of all batches, and how many each has."""
    x = [np.asarray(batch[0]) for batch in batches]
    return np.concatenate(x), [len(part) for part in x]


@pytest.mark.parametrize(
    "steps, batches, fewer",
    [
        (None, 3, None),
        (2, 3, 2),
        (3, 3, None),
        (4, 3, None),
        (2, 0, None),
        (2, -1, 2),  # it is not known how many there are
        (2, -2, 2),
    ],
)
def test_an_epoch_has_fewer_steps_than_there_are_batches_or_all(steps, batches, fewer):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert _fewer_steps(steps, batches) == fewer
    expected = steps is not None and 0 <= batches < steps
    texts = [f"steps_per_epoch: the data have {batches} batches, so that an epoch has {batches} steps,"]
    assert [str(each.message) for each in told] == [f"{text} not {steps}" for text in texts * expected]


@pytest.mark.parametrize("steps, sizes", [(None, [4, 4, 2]), (3, [4, 4, 2]), (2, [4, 4])])
def test_arrays_are_batches_as_they_are_given(steps, sizes):
    found = data(steps_per_epoch=steps)
    x, lengths = read(found.train.epoch(0))
    assert (x.dtype, lengths) == (np.uint8, sizes)
    assert np.array_equal(x, X[: sum(sizes)])
    assert (found.validation, found.held_out, found.name) == (None, None, "arrays")
    assert found.examples.examples == 10


def test_shuffled_arrays_depend_on_the_seed():
    first, second, same = (
        read(data(shuffle=True, seed=seed).train.epoch(0))[0].tolist() for seed in (0, 1, 0)
    )
    assert first == same != second
    assert sorted(first) == sorted(second) == X.tolist()


@pytest.mark.parametrize(
    "split, first", [(0.25, 7), (0.1, 9), (0.01, 9), (0.89, 1), (0.5, 5), (0.95, None), (1e-20, None)]
)
def test_the_last_part_of_the_arrays_is_split_off(split, first):
    if first is None:
        with pytest.raises(ValueError, match=r"^validation_split: expected a part of 10 examples that"):
            data(validation_split=split)
        return
    found = data(validation_split=split)
    assert np.array_equal(read(found.train.epoch(0))[0], X[:first])
    assert np.array_equal(read(found.validation)[0], X[first:])
    assert (found.examples.examples, found.held_out.examples) == (first, 10 - first)


@pytest.mark.parametrize(
    "given, sizes",
    [
        ({}, [4, 1]),
        ({"validation_batch_size": 3}, [3, 2]),
        ({"validation_batch_size": 3, "validation_steps": 1}, [3]),
        ({"validation_steps": 1}, [4]),
        ({"validation_split": 0.5}, [4, 1]),  # it is left out beside data that are given
    ],
)
@pytest.mark.parametrize("kind", ["arrays", "dataset"])
def test_validation_is_on_the_given_data(kind, given, sizes):
    x, y = (X, Y) if kind == "arrays" else (DATASET, None)
    found = data(x, y, validation_data=(X[:5], Y[:5]), **given)
    received, lengths = read(found.validation)
    assert lengths == sizes
    assert np.array_equal(received, X[: sum(sizes)])
    assert found.held_out.examples == 5
    assert len(found.train) == 3


def test_a_dataset_to_validate_on_is_taken_as_it_is():
    found = data(validation_data=DATASET)
    assert (found.validation, found.held_out) == (DATASET, None)
    assert read(data(validation_data=DATASET, validation_steps=2).validation)[1] == [4, 4]


@pytest.mark.parametrize("steps, sizes", [(None, [4, 4, 2]), (3, [4, 4, 2]), (2, [4, 4])])
def test_a_dataset_has_its_own_batches(steps, sizes):
    found = data(DATASET, None, steps_per_epoch=steps)
    assert read(found.train.epoch(0))[1] == sizes
    assert (found.name, found.examples, found.validation) == ("a tf.data.Dataset", None, None)


def test_classes_have_their_weights_in_training_alone():
    for x, y in ((X, Y), (DATASET, None)):
        found = data(x, y, class_weight={0: 2.0, 1: 0.5, 2: 1.0}, validation_data=(X[:5], Y[:5]))
        weights = np.concatenate([batch[2] for batch in found.train.epoch(0)])
        assert weights.tolist() == [2.0, 0.5, 1.0] * 3 + [2.0]
        assert len(next(iter(found.validation))) == 2


def test_examples_have_their_weights():
    found = data(sample_weight=np.arange(10.0), validation_split=0.5)
    assert np.concatenate([batch[2] for batch in found.train.epoch(0)]).tolist() == [*range(5)]
    assert np.concatenate([batch[2] for batch in found.validation]).tolist() == [*range(5, 10)]


@pytest.mark.parametrize(
    "given, message",
    [
        ({"x": DATASET}, "^y: expected None beside a tf.data.Dataset, which has it"),
        ({"x": DATASET, "y": None, "sample_weight": Y}, "^sample_weight: expected None beside"),
        (
            {"x": DATASET, "y": None, "validation_split": 0.5},
            "^validation_split: expected 0 with a tf.data.Dataset; received 0.5",
        ),
        ({"x": X, "y": Y[:3]}, "^x: data: expected the same number of examples"),
        ({"validation_data": (X, Y[:3])}, "^validation_data: data: expected the same number"),
        ({"validation_data": iter([(X, Y)])}, "^validation_data: expected arrays or a tf.data.Dataset"),
        ({"x": lambda: X}, "^x: expected arrays or a tf.data.Dataset; received function, whose batches"),
    ],
)
def test_what_fit_cannot_read_twice_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        data(**given)
