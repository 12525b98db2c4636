import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from kerasmlp.checkpoints import atomic, files
from kerasmlp.checkpoints.files import Checkpoints, Contents


def contents(number):
    arrays = {"model/0000": np.full((3, 4), number, np.float32), "metrics/0000": np.int64(number)}
    return Contents(arrays, {"step": number, "lowest": float("inf"), "exact": 0.1 + 0.2})


def saved(folder, *steps, keep=9):
    """The checkpoints in `folder`, with one saved after each of the steps."""
    checkpoints = Checkpoints(folder, keep)
    for step in steps:
        checkpoints.save(step, contents(step))
    checkpoints.close()
    return checkpoints


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "step-1.npz"
    files.write(path, contents(7))
    read = files.read(path)
    assert read.state == contents(7).state
    assert read.arrays.keys() == {"model/0000", "metrics/0000"}
    assert np.array_equal(read.arrays["model/0000"], np.full((3, 4), 7, np.float32))
    assert read.arrays["metrics/0000"].dtype == np.int64
    with np.load(path) as opened:  # NumPy can open it
        assert json.loads(opened[files.TEXT].tobytes())["step"] == 7


def test_the_newest_checkpoints_are_kept(tmp_path):
    checkpoints = saved(tmp_path, 5, 20, 100, 1_000_000, keep=3)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "step-000000020.npz",
        "step-000000100.npz",
        "step-001000000.npz",
    ]
    assert checkpoints.newest().state["step"] == 1_000_000


def test_a_damaged_checkpoint_does_not_take_the_place_of_one_before_it(tmp_path):
    """A run goes on from step 4, and keeps one checkpoint: not that of step 6, which is damaged."""
    saved(tmp_path, 4, 6)
    (tmp_path / "step-000000006.npz").write_bytes(b"")
    checkpoints = saved(tmp_path, 5, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000005.npz"]
    assert checkpoints.newest().state["step"] == 5


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory):
    """The content of the file of a checkpoint."""
    path = tmp_path_factory.mktemp("undamaged") / "step-1.npz"
    files.write(path, contents(1))
    return path.read_bytes()


@given(data=st.data())
def test_a_damaged_checkpoint_is_refused(undamaged, tmp_path_factory, data):
    """Bytes at a random place are replaced, or all bytes from there on are missing."""
    first = data.draw(st.integers(0, len(undamaged) - 1))
    length = data.draw(st.integers(1, 64))
    replacement = data.draw(st.one_of(st.binary(max_size=64), st.just(None)))
    damaged = undamaged[:first]
    if replacement is not None:
        damaged += replacement + undamaged[first + length :]
    path = tmp_path_factory.mktemp("damaged") / "step-1.npz"
    path.write_bytes(damaged)
    if damaged != undamaged:
        with pytest.raises(ValueError, match=r"step-1\.npz is damaged"):
            files.read(path)


def test_a_change_of_any_byte_is_refused(undamaged, tmp_path):
    path = tmp_path / "step-1.npz"
    for place in range(len(undamaged)):
        path.write_bytes(undamaged[:place] + bytes([undamaged[place] ^ 1]) + undamaged[place + 1 :])
        with pytest.raises(ValueError, match="is damaged"):
            files.read(path)


def test_a_damaged_checkpoint_is_skipped(tmp_path, capsys):
    checkpoints = saved(tmp_path, 1, 2, 3)
    newest = tmp_path / "step-000000003.npz"
    newest.write_bytes(newest.read_bytes()[:-1])
    (tmp_path / "step-000000002.npz").unlink()
    assert checkpoints.newest().state["step"] == 1
    assert capsys.readouterr().err == (
        f"warning: {newest} is damaged: its SHA-256 does not match its content;"
        " trying the checkpoint before it\n"
    )


def test_pickled_objects_are_refused(tmp_path):
    path = tmp_path / "step-1.npz"
    files.write(path, Contents({"model/0000": np.array([print], object)}, {}))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        files.read(path)


def test_a_failed_write_names_the_file_and_keeps_the_checkpoint_before_it(tmp_path):
    """A limit on the size of a file stands for a full disk."""
    saved(tmp_path, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        checkpoints = Checkpoints(tmp_path, 3)
        for leave in (lambda: checkpoints.save(3, contents(3)), checkpoints.close):
            checkpoints.save(2, contents(2))
            with pytest.raises(OSError, match=r"File too large: .*step-000000002\.npz"):
                leave()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.npz"]
    assert checkpoints.newest().state["step"] == 1


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Or a power cut could leave the name of a checkpoint with nothing behind it."""
    calls, replace = [], Path.replace

    def flush(descriptor):
        of = Path(f"/proc/self/fd/{descriptor}").readlink()
        calls.append(("flush", of.name, of.is_dir() or of.read_bytes()))

    def named(part, path):
        calls.append(("name", part.name, path.name))
        return replace(part, path)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "replace", named)
    opened = sorted(Path("/proc/self/fd").iterdir())
    atomic.write(tmp_path / "model.npz", b"content")
    assert sorted(Path("/proc/self/fd").iterdir()) == opened  # and nothing stays open
    assert calls == [
        ("flush", ".part-model.npz", b"content"),
        ("name", ".part-model.npz", "model.npz"),
        ("flush", tmp_path.name, True),
    ]
