"""What a file is by its first bytes."""

import gzip
import pickle

import pytest

from kerasmlp.data import content


@pytest.mark.parametrize(
    "start, name",
    [
        (b"\x93NUMPY\x01", "a .npy file, with one array"),
        (b"PK\x03\x04", "a zip file"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"MATLAB 5.0", "a MATLAB file"),
        (b"PAR1", "a Parquet file"),
        (b"BZh9", "a bzip2 file"),
        (b"\xfd7zXZ\0", "an xz file"),
        (b"7z\xbc\xaf'", "a 7-Zip file"),
        (b"\x89PNG\r", "an image"),
        (b"\xff\xd8\xff\xe0", "an image"),
        (b"\x1f\x8b\x08", "a gzip file"),
        (pickle.dumps([1], 2), "a pickle"),
        (pickle.dumps([1], 5), "a pickle"),
        (pickle.dumps([1], 0), "a pickle"),
        (b"cnumpy\ncore", "a pickle"),
        (b"\x80\x01", ""),
        (b"\x80\x06", ""),
        (b"\0\0\x08\x01", "an IDX file"),
        (b"\0\0\x0e\x04", "an IDX file"),
        (b"\0\0\x0a\x01", ""),
        (b"\0\0\x08\x05", ""),
        (b"\0\0\x08\0", ""),
        (b"a,b\r\n\xe9\t1", "a text file"),
        (b"a\0b", ""),
        (b"", ""),
        (b"\xef\xbb\xbf\n <html>", content.WEB_PAGE),
        (b"<", content.WEB_PAGE),
        (b"a <html>", "a text file"),
    ],
)
def test_a_file_is_known_by_its_beginning(start, name):
    assert content.what(start) == name


@pytest.mark.parametrize("length", [0, 3, 512, 600])
def test_the_first_bytes_are_those_within_a_gzip_file(length, tmp_path):
    path, whole = tmp_path / "file", bytes(number % 251 for number in range(length))
    path.write_bytes(whole)
    assert content.first_bytes(path) == (whole[:512], False)
    path.write_bytes(gzip.compress(whole))
    assert content.first_bytes(path) == (whole[:512], True)
    path.write_bytes(gzip.compress(whole[:5]) + gzip.compress(whole[5:]))
    assert content.first_bytes(path) == (whole[:512], True)


def test_of_a_damaged_gzip_file_there_are_the_bytes_before_the_damage(tmp_path):
    path = tmp_path / "file"
    packed = gzip.compress(b"abc" * 10)
    path.write_bytes(packed[:-4])
    assert content.first_bytes(path) == (b"abc" * 10, True)
    path.write_bytes(packed[:5])
    assert content.first_bytes(path) == (b"", True)
