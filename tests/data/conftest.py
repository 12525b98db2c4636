"""A small data set, as arrays and as files."""

import numpy as np
import pytest

from helpers import idx
from kerasmlp.data.arrays import Arrays
from kerasmlp.data.idx_sets import IDX_FILES


@pytest.fixture
def arrays():
    """The members of an .npz file."""
    random = np.random.default_rng(1)
    return {
        "x_train": random.integers(256, size=(12, 4, 5), dtype=np.uint8),
        "y_train": random.integers(3, size=12, dtype=np.uint8),
        "x_test": random.integers(256, size=(6, 4, 5), dtype=np.uint8),
        "y_test": random.integers(3, size=6, dtype=np.uint8),
    }


@pytest.fixture
def expected(arrays):
    """The same data as `loader.read` returns it."""
    return Arrays(
        arrays["x_train"][..., None],
        arrays["y_train"].astype(np.int32),
        arrays["x_test"][..., None],
        arrays["y_test"].astype(np.int32),
    )


@pytest.fixture
def npz_path(tmp_path, arrays):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def idx_folder(tmp_path, arrays):
    folder = tmp_path / "idx"
    folder.mkdir()
    for name, array in zip(IDX_FILES, arrays.values(), strict=True):
        (folder / name).write_bytes(idx(array))
    return folder
