import pytest

from helpers import assert_same
from kerasmlp.data.sources import read


def test_a_path_is_read_as_an_npz_file_or_as_a_folder_of_idx_files(npz_path, idx_folder, expected):
    for path in (npz_path, idx_folder):
        arrays, name = read(str(path))
        assert_same(arrays, expected)
        assert name == str(path)


def test_a_missing_path_is_an_error_that_names_the_flag_and_the_path(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^--data: expected auto, mnist, .*nowhere\.npz"):
        read(str(tmp_path / "nowhere.npz"))
