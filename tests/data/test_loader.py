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
