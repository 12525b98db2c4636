"""The data of a name or a file: images with labels, or any arrays."""

import numpy as np
import pytest

from kerasmlp.data import AnyArrays, MNISTLoader, read_source
from kerasmlp.data.idx_sets import IDX_FILES

TABLE = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def save(tmp_path):
    """Writes an `.npz` file; returns its path."""

    def save(**arrays):
        np.savez(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"

    return save


def tables(**more):
    return {
        "x_train": TABLE,
        "y_train": TABLE[:, 0],
        "x_test": TABLE[:2],
        "y_test": TABLE[:2, 0],
        **more,
    }


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("any_arrays", [False, True])
def test_images_as_keras_has_them_are_images(any_arrays, transpose, npz_path, expected):
    found = read_source(str(npz_path), any_arrays, transpose)
    assert isinstance(found, MNISTLoader)
    turned = expected.train_data.swapaxes(1, 2) if transpose else expected.train_data
    assert np.array_equal(found.train_data, turned)


def test_other_arrays_are_taken_for_a_model_of_the_user_alone(save):
    path = save(**tables())
    found = read_source(str(path), any_arrays=True)
    assert isinstance(found, AnyArrays)
    assert (found.name, found.are_images) == (str(path), False)
    assert np.array_equal(found.test.padded[0], TABLE[:2])
    with pytest.raises(ValueError, match="expected images, or rows of a square number of pixels"):
        read_source(str(path), any_arrays=False)
    with pytest.raises(
        ValueError, match=r"--transpose: expected images as bytes, with labels; .*data.npz"
    ):
        read_source(str(path), any_arrays=True, transpose=True)


def test_what_is_no_npz_file_has_the_error_of_what_it_is(idx_folder, tmp_path):
    (idx_folder / IDX_FILES[0]).write_bytes(b"<html>")
    folder = idx_folder.rename(tmp_path / "folder.npz")
    text = tmp_path / "data.csv"
    text.write_text("1,2")
    for path, message in ((folder, "this is a web page"), (text, "this is a text file")):
        for any_arrays in (False, True):
            with pytest.raises(ValueError, match=message):
                read_source(str(path), any_arrays)
    with pytest.raises(FileNotFoundError, match="which does not exist"):
        read_source(str(tmp_path / "none.npz"), any_arrays=True)


def test_arrays_with_a_slash_in_their_names_are_a_dict(save):
    inputs = {"x_train/a": TABLE, "x_train/b/c": TABLE + 1, "x_test/a": TABLE, "x_test/b/c": TABLE}
    path = save(**inputs, y_train=TABLE, sample_weight_train=np.arange(4.0), x_train_other=TABLE)
    found = AnyArrays.read(path)
    x, y, sample_weight = found.train.padded
    assert x.keys() == {"a", "b/c"}
    assert np.array_equal(x["b/c"], TABLE + 1)
    assert np.array_equal(y, TABLE)
    assert sample_weight.tolist() == [0, 1, 2, 3]
    assert found.test.padded[1:] == (None, None)
    both = {"x_train": TABLE, "x_train/a": TABLE[:, :1], "x_test": TABLE}
    assert AnyArrays.read(save(**both)).train.padded[0].shape == (4, 3)


@pytest.mark.parametrize("missing", ["x_train", "x_test"])
def test_missing_inputs_are_named(missing, save):
    arrays = {name: array for name, array in tables().items() if name != missing}
    with pytest.raises(ValueError, match=f"data.npz: expected the arrays .*; {missing} is missing$"):
        AnyArrays.read(save(**arrays))


def test_arrays_that_do_not_fit_are_named_by_their_file(save):
    with pytest.raises(ValueError, match=r"data\.npz: data: expected the same number of examples"):
        AnyArrays.read(save(**tables(y_train=TABLE[:2])))


def test_the_fingerprint_is_of_both_parts(save):
    first, train, test = (
        AnyArrays.read(save(**tables(**other))).fingerprint
        for other in ({}, {"x_train": TABLE + 1}, {"x_test": TABLE[2:]})
    )
    assert len(first) == 128
    assert (first[:64] == train[:64], first[64:] == train[64:]) == (False, True)
    assert (first[:64] == test[:64], first[64:] == test[64:]) == (True, False)
