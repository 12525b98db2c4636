import io
import os
import zipfile

import numpy as np
import pytest

from helpers import assert_same
from kerasmlp.data import npz, read_ahead
from kerasmlp.data.npz import read_members, read_npz


def test_an_npz_file_is_read(npz_path, expected):
    assert_same(read_npz(npz_path), expected)


def test_a_compressed_npz_file_is_read(tmp_path, arrays, expected):
    np.savez_compressed(tmp_path / "compressed.npz", **arrays)
    assert_same(read_npz(tmp_path / "compressed.npz"), expected)


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_have_their_type_shape_and_order_and_may_be_changed(order, tmp_path):
    arrays = {
        "a": np.asarray(np.arange(24.0).reshape(2, 3, 4), order=order),
        "empty": np.zeros((0, 3), ">i2"),
        "number": np.array(5),
    }
    np.savez(tmp_path / "any.npz", **arrays)
    found = read_members(tmp_path / "any.npz")
    assert found.keys() == arrays.keys()
    assert_same(list(found.values()), list(arrays.values()))
    assert found["a"].flags.writeable
    assert found["a"].flags.f_contiguous == (order == "F")


def test_a_file_that_was_read_ahead_is_not_read_again_but_once(npz_path, expected):
    read_ahead(str(npz_path))
    content = npz_path.read_bytes()
    npz._ahead[npz_path].result()
    npz_path.write_bytes(b"another file")
    assert_same(read_npz(npz_path), expected)
    with pytest.raises(ValueError, match="this is a text file"):
        read_npz(npz_path)
    npz_path.write_bytes(content)
    read_ahead(str(npz_path))
    assert read_members(npz_path, ["y_test"]).keys() == {"y_test"}
    assert_same(read_npz(npz_path), expected)


def test_what_is_wrong_with_a_file_that_was_read_ahead_is_an_error_when_it_is_read(tmp_path, arrays):
    path = tmp_path / "data.npz"
    np.savez(path, x=arrays["x_train"], y_train=np.zeros(11))
    read_ahead(str(path))
    with pytest.raises(ValueError, match="x_train is missing"):
        read_npz(path)
    read_ahead(str(path))
    assert read_members(path).keys() == {"x", "y_train"}
    if hasattr(os, "mkfifo"):  # as it is not on Windows
        os.mkfifo(tmp_path / "pipe.npz")
    for name in ("", "pipe.npz", "absent.npz", "a" * 999):
        read_ahead(str(tmp_path / name))
        assert npz._ahead.pop(tmp_path / name).result(timeout=9) == {}


def npy(array):
    """The bytes of a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def damaged_files(path, arrays):
    """Yield what is wrong with a file, its content, and a part of the error message."""
    members = {name: npy(array) for name, array in arrays.items()}
    whole = zipped(path, members).read_bytes()
    yield "not a zip file", b"nonsense", ""
    yield "empty", b"", ""
    yield "truncated", whole[: len(whole) // 2], ""
    flipped = bytearray(whole)
    flipped[100] ^= 0xFF
    yield "a flipped byte", bytes(flipped), ""
    yield "a pickle", b"\x80\x04N.", ""
    header = npy(arrays["x_train"]).replace(b"(12, 4, 5)", b"(12, 4, 999999999)"[:10])
    yield "a short member", zipped(path, {**members, "x_train": header[:100]}).read_bytes(), ""
    bomb = members["x_train"].replace(b"(12, 4, 5), }     ", b"(99999999, 9, 9), }"[:18])
    yield "a huge shape", zipped(path, {**members, "x_train": bomb}).read_bytes(), ""
    yield "not a .npy member", zipped(path, {**members, "x_train": b"nonsense"}).read_bytes(), ""
    objects = npy(np.array([print] * 12, dtype=object))
    yield (
        "a pickled member",
        zipped(path, {**members, "x_train": objects}).read_bytes(),
        "a pickle can run a program when it is read",
    )
    del members["y_test"]
    yield "a missing member", zipped(path, members).read_bytes(), "y_test is missing"


def test_a_damaged_npz_file_is_a_value_error_that_names_the_file(tmp_path, arrays):
    path = tmp_path / "data.npz"
    for what, content, message in list(damaged_files(path, arrays)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"data\.npz: ") as raised:
            read_npz(path)
        assert message in str(raised.value), what
        assert "\n" not in str(raised.value), what


def test_an_error_in_an_array_names_the_file(tmp_path, arrays):
    path = tmp_path / "data.npz"
    np.savez(path, **{**arrays, "y_train": np.zeros(11, np.uint8)})
    with pytest.raises(ValueError, match=r"data\.npz: .*12 images and 11 labels"):
        read_npz(path)
