"""Single IDX files: what is read, and what is said of the damaged ones."""

import gzip
import struct

import numpy as np
import pytest

from helpers import assert_same, idx
from kerasmlp.data import idx as idx_files
from kerasmlp.data.idx_sets import IDX_FILES, find
from kerasmlp.data.loader import MNISTLoader
from kerasmlp.runs.settings import Settings
from kerasmlp.train import train

IMAGES, LABELS = IDX_FILES[:2]


def read(path):
    return find(path).read()


def test_a_folder_of_idx_files_is_read(idx_folder, expected):
    assert_same(read(idx_folder), expected)


def test_gzipped_files_and_names_with_a_point_are_read(idx_folder, expected):
    for name in (IMAGES, LABELS):
        (idx_folder / f"{name}.gz").write_bytes(gzip.compress((idx_folder / name).read_bytes()))
        (idx_folder / name).unlink()
    (idx_folder / IDX_FILES[2]).rename(idx_folder / "t10k-images.idx3-ubyte")
    assert_same(read(idx_folder), expected)


def test_a_file_is_gzipped_if_its_bytes_say_so(idx_folder, expected):
    (idx_folder / IMAGES).rename(idx_folder / f"{IMAGES}.gz")
    packed = gzip.compress((idx_folder / LABELS).read_bytes())
    (idx_folder / LABELS).write_bytes(packed)
    assert_same(read(idx_folder), expected)


@pytest.mark.parametrize("code, dtype", [(9, "i1"), (11, ">i2"), (12, ">i4")])
def test_labels_are_integers_of_any_type(code, dtype, idx_folder, arrays, expected):
    labels = arrays["y_train"].astype(dtype)
    content = struct.pack(">BBBBI", 0, 0, code, 1, 12) + labels.tobytes()
    for pack in (bytes, gzip.compress):
        (idx_folder / LABELS).write_bytes(pack(content))
        assert_same(read(idx_folder), expected)


def test_of_qmnists_rows_the_first_numbers_are_the_labels(idx_folder, arrays, expected):
    rows = np.arange(96).reshape(12, 8) + 1000
    rows[:, 0] = arrays["y_train"]
    content = struct.pack(">BBBBII", 0, 0, 12, 2, 12, 8) + rows.astype(">i4").tobytes()
    (idx_folder / LABELS).unlink()
    (idx_folder / "train-labels-idx2-int.gz").write_bytes(gzip.compress(content))
    assert_same(read(idx_folder), expected)


def damaged_files():
    """Yield what is wrong with a file, its name and content, and a part of the error message."""
    whole = idx(np.zeros((12, 4, 5), np.uint8))
    packed = gzip.compress(whole)
    yield "truncated gzip", f"{IMAGES}.gz", packed[:-9], "gzipped"
    yield "a truncated gzip header", f"{IMAGES}.gz", packed[:5], "gzipped"
    yield "flipped", f"{IMAGES}.gz", packed[:12] + b"\xff\xff" + packed[14:], f"{IMAGES}.gz: "
    yield (
        "wrong magic",
        IMAGES,
        b"\x00\x00\x0d" + whole[3:],
        "starts with 00 00 08 03; received 00 00 0d 03",
    )
    yield "of any kind", IMAGES, bytes(range(18)), "; received 00 01 .* 0e 0f$"
    yield "wrong dimensions", IMAGES, idx(np.zeros(12, np.uint8)), "3 dimension"
    yield "empty", IMAGES, b"", "received nothing"
    yield "empty gzip", f"{IMAGES}.gz", gzip.compress(b""), "received nothing"
    yield "three bytes", IMAGES, whole[:3], "received 00 00 08"
    yield "four bytes", IMAGES, whole[:4], "received 00 00 08 03"
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
    page = b"\r\n<!DOCTYPE html>\n<html><body>403 Forbidden</body></html>"
    told = f"{IMAGES}.*: expected an IDX file; this is a web page, so the download failed; delete it"
    yield "a web page", IMAGES, page, told
    yield "a web page named .gz", f"{IMAGES}.gz", page, told
    yield "a gzipped web page", f"{IMAGES}.gz", gzip.compress(page), told
    yield "a zip file", IMAGES, b"PK\x03\x04" + bytes(30), "this is a zip file"
    yield "packed twice", f"{IMAGES}.gz", gzip.compress(packed), "this is gzipped twice: unpack it once"
    yield "text", IMAGES, b"404: Not Found", "this is a text file"


@pytest.mark.parametrize(
    "name, content, message",
    [case[1:] for case in damaged_files()],
    ids=[case[0] for case in damaged_files()],
)
def test_a_damaged_idx_file_is_a_value_error_that_names_the_folder(idx_folder, name, content, message):
    (idx_folder / IMAGES).unlink()
    (idx_folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        read(idx_folder)
    assert str(idx_folder) in str(raised.value)


@pytest.mark.parametrize(
    "content, message",
    [
        (
            struct.pack(">BBBBI", 0, 0, 13, 1, 12) + bytes(48),
            "integers with 1 dimension, .* 00 00 08 01",
        ),
        (struct.pack(">BBBBI", 0, 0, 12, 1, 12) + bytes(47), "expected 48 bytes of data; received 47"),
        (idx(np.zeros((12, 8), np.uint8)), r"received uint8 of shape \[12, 8\]"),
        (idx(np.zeros((12, 2, 2), np.uint8)), "integers with 1 dimension"),
    ],
    ids=["floats", "short", "rows of bytes", "images"],
)
def test_other_labels_are_refused(content, message, idx_folder):
    (idx_folder / LABELS).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read(idx_folder)


@pytest.mark.parametrize("good", [IMAGES, f"{IMAGES}.gz", "train-images.idx3-ubyte"])
def test_a_whole_file_is_read_in_place_of_a_damaged_one_beside_it(good, idx_folder, expected, capsys):
    content = (idx_folder / IMAGES).read_bytes()
    whole = {IMAGES: content, f"{IMAGES}.gz": gzip.compress(content), "train-images.idx3-ubyte": content}
    names = [IMAGES, "train-images.idx3-ubyte", f"{IMAGES}.gz"]
    for name in names:
        (idx_folder / name).write_bytes(whole[name] if name == good else whole[name][:-5])
    assert_same(read(idx_folder), expected)
    lines = capsys.readouterr().err.splitlines()
    before = names[: names.index(good)]  # plain files are tried first
    assert len(lines) == len(before)
    for name, line in zip(before, lines, strict=True):
        assert line.startswith(f"note: {idx_folder / name}: expected 240 bytes of data; received 235")
        assert line.endswith(f"; {good} is read instead")


def test_several_damaged_files_are_all_named(idx_folder):
    (idx_folder / IMAGES).write_bytes(b"<html>")
    (idx_folder / f"{IMAGES}.gz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"ubyte: .*web page.*; .*\.gz: .*this is a zip file"):
        read(idx_folder)


def test_a_gzipped_file_is_not_read_beyond_the_size_in_its_header(idx_folder):
    (idx_folder / IMAGES).unlink()
    body = idx(np.zeros((12, 4, 5), np.uint8)) + bytes(50_000_000)
    (idx_folder / f"{IMAGES}.gz").write_bytes(gzip.compress(body))
    with pytest.raises(ValueError, match="expected 240 bytes of data; received more"):
        read(idx_folder)


@pytest.mark.parametrize("threshold, is_mapped", [(240, True), (241, False), (2**30, False)])
def test_a_large_plain_file_is_mapped(threshold, is_mapped, idx_folder, expected, monkeypatch):
    monkeypatch.setattr(idx_files, "MAPPING_THRESHOLD", threshold)
    path = idx_folder / IMAGES
    images = idx_files.read_images(path)
    assert isinstance(images, np.memmap) == is_mapped
    assert np.array_equal(images, expected.train_data[..., 0])
    path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes()))
    assert not isinstance(idx_files.read_images(path.with_suffix(".gz")), np.memmap)
    for content, message in (
        (path.read_bytes() + b"x", "received more"),
        (path.read_bytes()[:-1], "239"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            idx_files.read_images(path)


@pytest.mark.parametrize("limit, fits", [(240, True), (239, False)])
def test_a_gzipped_file_is_read_up_to_a_limit(limit, fits, idx_folder, expected, monkeypatch):
    monkeypatch.setattr(idx_files, "IN_MEMORY_LIMIT", limit)
    path = idx_folder / f"{IMAGES}.gz"
    path.write_bytes(gzip.compress((idx_folder / IMAGES).read_bytes()))
    if fits:
        assert np.array_equal(idx_files.read_images(path), expected.train_data[..., 0])
    else:
        with pytest.raises(
            ValueError, match=r"expected at most 239 bytes; its header claims 240. For larger"
        ):
            idx_files.read_images(path)


def test_a_file_claims_no_more_than_it_can_hold(tmp_path, monkeypatch):
    path = tmp_path / "images"
    content = idx(np.zeros((7, 4, 5), np.uint8))
    path.write_bytes(content)
    assert idx_files.read_images(path).shape == (7, 4, 5)
    packed = gzip.compress(content)
    path.write_bytes(packed)
    for ratio, fits in ((140 / len(packed), True), (139.9 / len(packed), False)):
        monkeypatch.setattr(idx_files, "DEFLATE_LIMIT", ratio)
        if fits:
            assert idx_files.read_images(path).shape == (7, 4, 5)
        else:
            with pytest.raises(
                ValueError, match=r"its header claims \[7, 4, 5\], more than the file can"
            ):
                idx_files.read_images(path)


@pytest.mark.parametrize(
    "shape, dtype, is_first_column",
    [((3, 8), ">i4", True), ((3, 8), "u1", False), ((3, 7), ">i4", False), ((3,), ">i4", False)],
)
def test_only_rows_of_eight_long_numbers_are_those_of_qmnist(shape, dtype, is_first_column, tmp_path):
    numbers = np.arange(np.prod(shape)).reshape(shape)
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8 if dtype == "u1" else 12, len(shape), *shape)
    (tmp_path / "labels").write_bytes(header + numbers.astype(dtype).tobytes())
    found = idx_files.read_labels(tmp_path / "labels")
    assert np.array_equal(found, numbers[:, 0] if is_first_column else numbers)


@pytest.mark.thorough
@pytest.mark.parametrize("transpose", [False, True])
def test_a_mapped_idx_file_trains_the_same_model(transpose, idx_folder, expected, tmp_path, monkeypatch):
    results = []
    for threshold in (idx_files.MAPPING_THRESHOLD, 1):
        monkeypatch.setattr(idx_files, "MAPPING_THRESHOLD", threshold)
        assert_same(read(idx_folder), expected)
        loader = MNISTLoader(str(idx_folder), transpose=transpose)
        assert isinstance(loader.train_data, np.memmap) == (threshold == 1)
        settings = Settings(batch_size=5, validation_size=1, epochs=2, logdir=tmp_path)
        results.append(train(settings, loader)[1])
    for name in ("test_loss", "test_accuracy", "steps"):
        assert results[0][name] == results[1][name]
