"""What all tests share. It imports no TensorFlow: the process that hands out the tests needs none."""

import gc
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_XLA_FLAGS", "")  # no test takes a program that another run has compiled
os.environ.pop("KERASMLP_DATA", None)

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("default", deadline=None, max_examples=60)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=10_000)
hypothesis.settings.register_profile(
    "unshrunk", deadline=None, max_examples=60, phases=[hypothesis.Phase.generate]
)
hypothesis.settings.load_profile("default")


def pytest_addoption(parser):
    parser.addoption("--thorough", action="store_true", help="run the tests marked thorough as well")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--thorough"):
        left = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """The imports make very many objects and no garbage; what they leave is never looked at again.

    A trace makes many objects too: after the imports, garbage is looked for less often.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(200_000, 20, 100)
        gc.enable()


def pytest_sessionfinish():
    """All that is left ends with the process. At its end, pytest would look for garbage five times."""
    gc.freeze()


def pytest_runtest_logfinish():
    """Let the iterators of a test go with it.

    The longer one of Keras' own lives, the longer its end can take (see `without_tuner`): up to 46 s.
    """
    gc.collect(1)


@pytest.fixture(scope="session")
def digits():
    """Forty images of 6x6 that three classes can be learned from, and their labels."""
    random = np.random.default_rng(7)
    labels = random.integers(3, size=40).astype(np.uint8)
    images = random.integers(0, 100, size=(40, 6, 6, 1)).astype(np.uint8)
    images[np.arange(40), labels] += 150
    return images, labels


@pytest.fixture
def npz(tmp_path, digits):
    """The path of an .npz file: 40 training images, of which 10 are the test images too."""
    from helpers import save_npz

    return save_npz(tmp_path, digits)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, digits):
    """A run folder with its metrics, and the path of its data: the images of `digits`."""
    from kerasmlp.runs.settings import Settings
    from kerasmlp.train import train

    folder = tmp_path_factory.mktemp("run")
    images, labels = digits
    data = folder / "digits.npz"
    np.savez(data, x_train=images, y_train=labels, x_test=images, y_test=labels)
    trained = {"batch_size": 8, "epochs": 3, "validation_size": 0, "ema_momentum": 0.0}
    settings = Settings(loop="graph", data=str(data), **trained)
    settings = Settings(**{**vars(settings), "jit_compile": False, "logdir": folder})
    return train(settings), data


@pytest.fixture(scope="session")
def timed_shortly(tmp_path_factory):
    """Exports are timed for a moment. Their times are as good as any: no test looks at them."""
    from kerasmlp.exporting import runtimes

    script = Path(runtimes.__file__).read_text()
    shorter = script.replace("\nSECONDS = 0.5\n", "\nSECONDS = 0.01\n")
    assert shorter != script
    path = tmp_path_factory.mktemp("script") / "runtimes.py"
    path.write_text(shorter)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtimes, "__file__", str(path))
        yield


@pytest.fixture(scope="session")
def export_extra():
    """A test that needs the packages of the extra `export` is skipped without them, and names them."""
    from kerasmlp.exporting import formats

    try:
        for format in formats.PACKAGES:
            formats.check_installed(format)
    except ValueError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def mnist5k():
    from kerasmlp.data import MNISTLoader

    return MNISTLoader("mnist5k")


@pytest.fixture(scope="session")
def mnist_path():
    """The path of all of MNIST; the test is skipped where it is not given."""
    path = os.environ.get("KERASMLP_TEST_MNIST")
    if path is None:
        pytest.skip("KERASMLP_TEST_MNIST names no file")
    assert Path(path).exists(), f"KERASMLP_TEST_MNIST: {path} does not exist"
    return path


@pytest.fixture(scope="session")
def mnist(mnist_path):
    from kerasmlp.data import MNISTLoader

    return MNISTLoader(mnist_path)


@pytest.fixture
def terminal(monkeypatch):
    """Rich takes standard error for a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
