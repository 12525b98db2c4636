import gzip
import struct

import numpy as np
import pytest

from helpers import assert_same, idx
from kerasmlp.data import idx as idx_files
from kerasmlp.data.idx import IDX_FILES, read_idx_folder
from kerasmlp.data.loader import MNISTLoader
from kerasmlp.runs.settings import Settings
from kerasmlp.train import train

IMAGES, LABELS = IDX_FILES[:2]


def test_a_folder_of_idx_files_is_read(idx_folder, expected):
    assert_same(read_idx_folder(idx_folder), expected)


def test_gzipped_files_and_names_with_a_point_are_read(idx_folder, expected):
    for name in (IMAGES, LABELS):
        (idx_folder / f"{name}.gz").write_bytes(gzip.compress((idx_folder / name).read_bytes()))
        (idx_folder / name).unlink()
    (idx_folder / IDX_FILES[2]).rename(idx_folder / "t10k-images.idx3-ubyte")
    assert_same(read_idx_folder(idx_folder), expected)


def damaged_files():
    """Yield what is wrong with a file, its name and content, and a part of the error message."""
    whole = idx(np.zeros((12, 4, 5), np.uint8))
    packed = gzip.compress(whole)
    yield "truncated gzip", f"{IMAGES}.gz", packed[:-9], "gzipped"
    yield "not gzip", f"{IMAGES}.gz", whole, "gzipped"
    yield "flipped", f"{IMAGES}.gz", packed[:12] + b"\xff\xff" + packed[14:], f"{IMAGES}.gz: "
    yield (
        "wrong magic",
        IMAGES,
        b"\x00\x00\x0d" + whole[3:],
        "starts with 00 00 08 03; received 00 00 0d 03",
    )
    yield "wrong dimensions", IMAGES, idx(np.zeros(12, np.uint8)), "3 dimension"
    yield "empty", IMAGES, b"", "received nothing"
    yield "short header", IMAGES, whole[:9], "received 00 00 08 03 00"
    yield "short", IMAGES, whole[:-1], "expected 240 bytes of data; received 239"
    yield "too long", IMAGES, whole + b"x", "expected 240 bytes of data; received more"
    yield (
        "2^31 images",
        IMAGES,
        struct.pack(">IIII", 0x803, 2**31, 28, 28),
        "more than the file can hold",
    )
    yield "no images", IMAGES, idx(np.zeros((0, 4, 5), np.uint8)), "not empty"


@pytest.mark.parametrize(
    "name, content, message",
    [case[1:] for case in damaged_files()],
    ids=[case[0] for case in damaged_files()],
)
def test_a_damaged_idx_file_is_a_value_error_that_names_the_folder(idx_folder, name, content, message):
    (idx_folder / IMAGES).unlink()
    (idx_folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        read_idx_folder(idx_folder)
    assert str(idx_folder) in str(raised.value)


def test_a_gzipped_file_is_not_read_beyond_the_size_in_its_header(idx_folder):
    (idx_folder / IMAGES).unlink()
    body = idx(np.zeros((12, 4, 5), np.uint8)) + bytes(50_000_000)
    (idx_folder / f"{IMAGES}.gz").write_bytes(gzip.compress(body))
    with pytest.raises(ValueError, match="expected 240 bytes of data; received more"):
        read_idx_folder(idx_folder)


def test_a_missing_file_is_named(idx_folder):
    (idx_folder / LABELS).unlink()
    with pytest.raises(FileNotFoundError, match=f"{LABELS} is missing"):
        read_idx_folder(idx_folder)


@pytest.mark.thorough
def test_a_mapped_idx_file_trains_the_same_model(idx_folder, expected, tmp_path, monkeypatch):
    results = []
    for threshold in (idx_files.MAPPING_THRESHOLD, 1):
        monkeypatch.setattr(idx_files, "MAPPING_THRESHOLD", threshold)
        assert_same(read_idx_folder(idx_folder), expected)
        loader = MNISTLoader(str(idx_folder))
        assert isinstance(loader.train_data, np.memmap) == (threshold == 1)
        settings = Settings(batch_size=5, validation_size=1, epochs=2, logdir=tmp_path)
        results.append(train(settings, loader)[1])
    for name in ("test_loss", "test_accuracy", "steps"):
        assert results[0][name] == results[1][name]
