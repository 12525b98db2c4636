"""What every row starts from is checked, and is the same in every process."""

import dataclasses

import keras
import numpy as np
import pytest

import kinds
from kerasmlp.comparison.start import Start, handbook_model, start_from
from kerasmlp.processes import dumps, loads

DATA = kinds.data_of(kinds.plain)


def start(make_model=kinds.plain, data=DATA, **options):
    return start_from(make_model, data, 8, 5, **options)


def test_arrays_are_images_only_if_that_is_said():
    assert not Start("nowhere:model", DATA, DATA, 2, 0).are_images


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"make_model": kinds.plain()},
            "the model function: expected a function without arguments that returns a compiled model;"
            " received Sequential",
        ),
        ({"make_model": 3}, "the model function: expected a function .*; received int"),
        ({"callbacks": "early"}, "callbacks: expected a list of callbacks; received 'early'"),
        ({"callbacks": keras.callbacks.History()}, "callbacks: expected a list of callbacks"),
        (
            {"callbacks": [keras.callbacks.History]},
            "callbacks: expected keras callbacks; received <class",
        ),
        ({"callbacks": [None]}, "callbacks: expected keras callbacks; received None"),
        ({"validation_data": iter(())}, "validation_data: data: expected arrays, .*; received tuple_it"),
    ],
)
def test_what_is_wrong_is_said_before_a_process_starts(arguments, message):
    with pytest.raises(ValueError, match=message), start(**arguments):
        pass


def test_a_start_from_arrays():
    with start() as found:
        assert (found.examples, found.steps_per_epoch, found.batch_size, found.seed) == (44, 6, 8, 5)
        assert found.validation is None and found.validation_batches() is None
        assert found.test is found.train  # there are no others
        sizes = [len(y) for _, y in found.batches().epoch(0)]
        assert sizes == [8, 8, 8, 8, 8, 4]
        x = np.concatenate([x for x, _ in found.test_batches()])
        assert np.array_equal(x, DATA[0])
        assert [len(y) for _, y in found.test_batches(17)] == [8, 8, 8]  # not many more than 17
        assert [len(y) for _, y in found.test_batches(16)] == [8, 8]
        assert found.new_callbacks() == []


def test_test_data_are_the_validation_data_if_there_are_no_others():
    x, y = DATA
    with start(data=((x[:16], y[:16]), (x[16:26], y[16:26]))) as found:
        assert found.examples == 16
        assert [len(y) for _, y in found.validation_batches()] == [8, 2]
        (first, _), *_ = found.test_batches()
        assert np.array_equal(first, x[16:24])
    with start(data=((x[:16], y[:16]), (x[16:26], y[16:26])), validation_data=(x[:3], y[:3])) as found:
        assert [len(y) for _, y in found.validation_batches()] == [3]
        assert [len(y) for _, y in found.test_batches()] == [8, 2]


def test_a_start_from_a_dataset_has_the_dataset_s_batches():
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(DATA).batch(20)
    weights = {0: 0.5, 1: 1.0, 2: 3.0}
    with start(data=dataset, class_weight=weights) as found:
        folder = found.train.folder.parent
        assert folder.name.startswith("kerasmlp-")  # so that one knows whose it is
        assert sorted(path.name for path in folder.iterdir()) == ["train", "weighted"]
        assert [len(batch) for batch in found.batches().epoch(0)] == [3, 3, 3]
        assert found.test is found.train
    assert not folder.exists()
    with start(data=dataset, validation_data=dataset.take(1)) as found:
        names = sorted(path.name for path in found.train.folder.parent.iterdir())
        assert names == ["train", "validation"]
        assert (found.batch_size, found.steps_per_epoch, found.examples) == (20, 3, 44)
        assert [len(y) for _, y in found.batches().epoch(1)] == [20, 20, 4]
        assert [len(y) for _, y in found.validation_batches()] == [20]
        assert [len(y) for _, y in found.test_batches(20)] == [20]


def test_class_weights_are_weights_of_examples():
    with start(class_weight={0: 0.5, 1: 1.0, 2: 3.0}) as found:
        x, y, weight = found.train.padded
        assert np.array_equal(weight, np.array([0.5, 1.0, 3.0], np.float32)[DATA[1]])
        assert len(x) == len(y) == 44


def test_each_row_has_its_own_model_and_copies_of_the_callbacks():
    callbacks = [keras.callbacks.ReduceLROnPlateau(patience=3)]
    with start(callbacks=callbacks) as found:
        (first,), (second,) = found.new_callbacks(), found.new_callbacks()
        assert first is not second and first is not callbacks[0]
        assert first.patience == second.patience == 3
        one, other = found.new_model(), loads(dumps(found)).new_model()
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
            assert np.array_equal(a, b)
        assert np.array_equal(found.batches().first_batch()[1], _first_labels(found))


def test_the_seed_gives_the_initial_weights():
    def unseeded():
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
        model.compile("sgd", "mse")
        return model

    with start(make_model=unseeded) as found:
        one, again = (found.new_model().get_weights()[0] for _ in range(2))
        other = dataclasses.replace(found, seed=6).new_model().get_weights()[0]
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def _first_labels(start):
    return loads(dumps(start)).batches().first_batch()[1]


def test_the_handbooks_model_fits_the_images(mnist5k):
    model = handbook_model(mnist5k)()
    assert model.count_params() == 784 * 100 + 100 + 100 * 10 + 10
    assert (model.jit_compile, model.steps_per_execution) == (False, 1)
