import numpy as np
import pytest

from helpers import assert_same
from kerasmlp.data.loader import MNISTLoader, read


def test_the_loader_has_the_attributes_of_the_handbooks_loader(mnist5k):
    assert (mnist5k.num_train_data, mnist5k.num_test_data, mnist5k.name) == (4000, 1000, "mnist5k")
    assert mnist5k.train_data.shape == (4000, 28, 28, 1)
    assert mnist5k.image_shape == (28, 28, 1)
    assert mnist5k.classes == 10


def test_the_loader_has_the_arrays_of_its_source(npz_path, expected):
    loader = MNISTLoader(str(npz_path))
    found = loader.train_data, loader.train_label, loader.test_data, loader.test_label
    assert_same(found, expected)
    assert loader.name == str(npz_path)


def test_colour_images_have_three_channels(tmp_path, arrays):
    colour = {name: np.stack([arrays[name]] * 3, axis=-1) for name in ("x_train", "x_test")}
    path = tmp_path / "colour.npz"
    np.savez(path, **{**arrays, **colour})
    assert MNISTLoader(str(path)).image_shape == (4, 5, 3)


def test_get_batch_draws_scaled_images_with_replacement(npz_path):
    loader = MNISTLoader(str(npz_path), seed=3)
    x, y = loader.get_batch(500)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((500, 4, 5, 1), np.float32, (500,), np.int32)
    examples = {
        (image.tobytes(), label)
        for image, label in zip(loader.train_data, loader.train_label, strict=True)
    }
    drawn = {
        ((image * 255).round().astype(np.uint8).tobytes(), label)
        for image, label in zip(x, y, strict=True)
    }
    assert drawn == examples
    assert x.max() == loader.train_data.max() / np.float32(255)


def test_a_path_is_read_as_an_npz_file_or_as_a_folder_of_idx_files(npz_path, idx_folder, expected):
    for path in (npz_path, idx_folder):
        arrays, name = read(str(path))
        assert_same(arrays, expected)
        assert name == str(path)


def test_a_missing_path_is_an_error_that_names_the_flag_and_the_path(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^--data: expected auto, mnist, .*nowhere\.npz"):
        read(str(tmp_path / "nowhere.npz"))


def test_the_fingerprint_is_of_labels_shapes_and_a_hundred_images_of_each_tenth(tmp_path):
    x, y = np.zeros((2000, 1, 1), np.uint8), np.zeros(2000, np.uint8)
    arrays = {"x_train": x, "y_train": y, "x_test": x[:150], "y_test": y[:150]}

    def fingerprint(name=None, place=None, **changed):
        given = {**arrays, **changed}
        if name:
            given[name] = given[name].copy()
            given[name][place] = 1
        np.savez(tmp_path / "data.npz", **given)
        return MNISTLoader(str(tmp_path / "data.npz")).fingerprint

    same = fingerprint()
    assert len(same) == 64
    for place in (0, 99, 200, 299, 1800, 1899):
        assert fingerprint("x_train", place) != same
    for place in (100, 199, 1900):
        assert fingerprint("x_train", place) == same
    for place in (0, 99, 100, 149):
        assert fingerprint("x_test", place) != same
    for name, place in (("y_train", 150), ("y_test", 149)):
        assert fingerprint(name, place) != same


def test_the_classes_are_those_of_both_parts(tmp_path, arrays):
    for name, classes in (("y_train", 9), ("y_test", 7)):
        changed = {**arrays, name: np.full(len(arrays[name]), classes - 1)}
        np.savez(tmp_path / "data.npz", **changed)
        loader = MNISTLoader(str(tmp_path / "data.npz"))
        assert loader.classes == classes
        assert (loader.num_train_data, loader.num_test_data) == (12, 6)
        assert [part.examples for part in (loader.train, loader.test)] == [12, 6]


def test_the_batches_depend_on_the_seed(npz_path):
    first, same, other = (MNISTLoader(str(npz_path), seed=seed).get_batch(9) for seed in (3, 3, 4))
    assert_same(first, same)
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("transpose", [False, True])
def test_images_are_transposed_only_when_asked(transpose, npz_path, expected):
    loader = MNISTLoader(str(npz_path), transpose=transpose)
    turned = expected.train_data.swapaxes(1, 2) if transpose else expected.train_data
    assert np.array_equal(loader.train_data, turned)
    assert (loader.transpose, loader.image_shape) == (transpose, turned.shape[1:])
