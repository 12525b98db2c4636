import json
import resource

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasmlp.checkpoints import files
from kerasmlp.checkpoints.files import Checkpoints, Contents


def contents(number):
    arrays = {"model/0000": np.full((3, 4), number, np.float32), "metrics/0000": np.int64(number)}
    return Contents(arrays, {"step": number, "lowest": float("inf"), "exact": 0.1 + 0.2})


def saved(folder, *steps, keep=9):
    files = Checkpoints(folder, keep)
    for step in steps:
        files.save(step, contents(step))
    files.close()
    return files


def test_what_is_read_is_what_was_written(tmp_path):
    path = tmp_path / "step-1.npz"
    files.write(path, contents(7))
    read = files.read(path)
    assert read.state == contents(7).state
    assert read.arrays.keys() == {"model/0000", "metrics/0000"}
    assert np.array_equal(read.arrays["model/0000"], np.full((3, 4), 7, np.float32))
    assert read.arrays["metrics/0000"].dtype == np.int64
    with np.load(path) as opened:  # NumPy opens it as it is
        assert json.loads(opened[files.TEXT].tobytes())["step"] == 7


def test_the_newest_are_kept(tmp_path):
    files = saved(tmp_path, 5, 100, 1_000_000, 20, keep=3)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "step-000000020.npz",
        "step-000000100.npz",
        "step-001000000.npz",
    ]
    assert files.newest().state["step"] == 1_000_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "step-1.npz"
    files.write(path, contents(1))
    return path.read_bytes()


@given(data=st.data())
def test_damage_anywhere_is_noticed(whole, tmp_path_factory, data):
    first = data.draw(st.integers(0, len(whole) - 1))
    length = data.draw(st.integers(1, 64))
    put = data.draw(st.one_of(st.binary(max_size=64), st.just(None)))
    damaged = whole[:first] if put is None else whole[:first] + put + whole[first + length :]
    path = tmp_path_factory.mktemp("damaged") / "step-1.npz"
    path.write_bytes(damaged)
    if damaged != whole:
        with pytest.raises(ValueError, match=r"step-1\.npz is damaged"):
            files.read(path)


def test_every_byte_counts(whole, tmp_path):
    path = tmp_path / "step-1.npz"
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="is damaged"):
            files.read(path)


def test_the_one_before_a_damaged_one_is_used(tmp_path, capsys):
    files = saved(tmp_path, 1, 2, 3)
    newest = tmp_path / "step-000000003.npz"
    newest.write_bytes(newest.read_bytes()[:-1])
    (tmp_path / "step-000000002.npz").unlink()
    assert files.newest().state["step"] == 1
    assert capsys.readouterr().err == (
        f"warning: {newest} is damaged: its SHA-256 is not the one that it was written with;"
        " the one before is used\n"
    )


def test_none_that_is_whole_is_an_error_and_none_at_all_is_not(tmp_path):
    assert Checkpoints(tmp_path, 3).newest() is None
    files = saved(tmp_path, 1, 2)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="expected a checkpoint that is whole; all 2 are damaged"):
        files.newest()


def test_what_numpy_would_have_to_unpickle_is_refused(tmp_path):
    path = tmp_path / "step-1.npz"
    files.write(path, Contents({"model/0000": np.array([print], object)}, {}))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        files.read(path)


def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_the_one_before(tmp_path):
    files = saved(tmp_path, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        files = Checkpoints(tmp_path, 3)
        files.save(2, contents(2))
        with pytest.raises(OSError, match=r"File too large: .*step-000000002\.npz"):
            files.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.npz"]
    assert files.newest().state["step"] == 1


def test_bfloat16_comes_back_bit_for_bit(tmp_path):
    from kerasmlp.checkpoints.state import put_variables, take

    def model():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype="bfloat16")])
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
        return model

    first, second = model(), model()
    files.write(tmp_path / "step-1.npz", Contents(take(first, [])[0], {}))
    put_variables(second, files.read(tmp_path / "step-1.npz").arrays, "model", "optimizer")
    kernels = [model.layers[0].kernel.numpy() for model in (first, second)]
    assert kernels[0].dtype.name == "bfloat16"
    assert kernels[0].tobytes() == kernels[1].tobytes()
