"""Damaged files are read, or refused with an error that names the file, in limited memory.

`python -m pytest tests/test_fuzz.py --hypothesis-profile thorough` tries 10,000 inputs for each reader.
"""

import contextlib
import dataclasses
import functools
import gzip
import importlib.util
import io
import json
import shutil
import struct
import tracemalloc
import zipfile

import keras
import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

import kerasmlp
import photographs
from helpers import idx
from kerasmlp import list as list_command, photos
from kerasmlp.data import idx as idx_files, loader, npz as npz_files
from kerasmlp.data.idx_sets import IDX_FILES
from kerasmlp.distribute.cluster import Cluster
from kerasmlp.runs import load_with_data, new_model
from kerasmlp.runs.settings import Settings

MEMORY = 2**23
"""The memory, in bytes, that reading a small file may take. It is enough for buffers only."""

X, Y = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5), np.arange(6, dtype=np.uint8) % 3
ARRAYS = dict(zip(npz_files.NPZ_MEMBERS, (X, Y, X, Y), strict=True))
ROWS, TEXTS = X.reshape(6, 20)[:, :16] / 255, Y.astype(str)
OTHER_FORMS = {"trainX": ROWS, "trainY": np.eye(3)[Y], "images_test": ROWS, "labels_test": TEXTS}


def npz(save, arrays=ARRAYS):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


WHOLE = {
    "npz": npz(np.savez),
    "npz compressed": npz(np.savez_compressed),
    "npz of other forms": npz(np.savez, OTHER_FORMS),
    "idx": idx(X),
    "idx gzipped": gzip.compress(idx(X), mtime=0),
    "config": json.dumps(dataclasses.asdict(Settings()), default=str).encode(),
}
NUMBERS = st.sampled_from([b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 4, b"\x80\0\0\0", b"\xff" * 8])


@st.composite
def damaged(draw, whole):
    """The content with some bytes changed, removed, inserted or doubled."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(0, 4))):
        first = draw(st.integers(0, len(content)))
        last = draw(st.integers(first, min(len(content), first + 40)))
        content[first:last] = draw(
            st.one_of(st.binary(max_size=16), NUMBERS, st.just(bytes(content[first:last]) * 2))
        )
        if draw(st.booleans()):
            del content[draw(st.integers(0, len(content))) :]
    return bytes(content)


def assert_read_or_refused(read, path, *names):
    """`read` returns, or raises a ValueError or OSError that names the file, and takes little memory."""
    tracemalloc.start()
    try:
        read()
    except (ValueError, OSError) as error:
        assert any(name in f"{error} {getattr(error, 'filename', '')}" for name in (str(path), *names))
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def idx_folder(path):
    """Make a folder with the IDX files of `ARRAYS`."""
    path.mkdir()
    for name, array in zip(IDX_FILES, ARRAYS.values(), strict=True):
        (path / name).write_bytes(idx(array))
    return path


@pytest.mark.parametrize("kind", ["npz", "npz compressed", "npz of other forms"])
def test_a_damaged_npz_file_is_read_or_refused(kind, root):
    path = root / "data.npz"

    @given(content=st.one_of(damaged(WHOLE[kind]), st.binary(max_size=200)))
    def check(content):
        path.write_bytes(content)
        assert_read_or_refused(lambda: loader.read(str(path)), path)

    check()


@pytest.mark.parametrize("kind", ["idx", "idx gzipped"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_idx_file_is_read_or_refused(kind, which, root):
    folder = idx_folder(root / f"{kind}{which}")
    path = folder / IDX_FILES[which]
    whole = idx((X, Y)[which])
    if kind == "idx gzipped":
        path.unlink()
        path = path.with_name(f"{path.name}.gz")
        whole = gzip.compress(whole, mtime=0)

    @given(content=st.one_of(damaged(whole), st.binary(max_size=200)))
    def check(content):
        path.write_bytes(content)
        assert_read_or_refused(lambda: loader.read(str(folder)), folder)

    check()


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda part: st.one_of(st.lists(part, max_size=3), st.dictionaries(st.text(max_size=5), part)),
    max_leaves=8,
)


@given(data=st.data())
def test_damaged_settings_are_read_or_refused(data, root):
    path = root / "config.json"
    changed = data.draw(
        st.dictionaries(
            st.sampled_from([f.name for f in dataclasses.fields(Settings)]), JSON, max_size=3
        )
    )
    settings = {**json.loads(WHOLE["config"]), **changed}
    content = st.one_of(st.just(json.dumps(settings).encode()), damaged(WHOLE["config"]))
    path.write_bytes(data.draw(content))
    assert_read_or_refused(lambda: Settings.read(path), path)


def bomb(path, size):
    """Write a compressed .npz file with an x_train of `size` zeros. The file is 1,000 times smaller."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (size // 784, 28, 28)}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        with archive.open("x_train.npy", "w", force_zip64=True) as file:
            file.write(header.getvalue())
            for _ in range(size // 2**24):
                file.write(bytes(2**24))
        for name in npz_files.NPZ_MEMBERS[1:]:
            archive.writestr(f"{name}.npy", header.getvalue())


def test_data_beyond_the_memory_limit_is_refused_before_it_is_read(root, monkeypatch):
    for reader in (npz_files, idx_files):
        monkeypatch.setattr(reader, "IN_MEMORY_LIMIT", 2**26)
    path = root / "bomb.npz"
    bomb(path, 2**28)
    assert path.stat().st_size < 2**19
    with pytest.raises(ValueError, match=r"bomb\.npz: .*x_train claims 268,\d+,\d+ bytes"):
        loader.read(str(path))
    assert_read_or_refused(lambda: loader.read(str(path)), path)
    folder = idx_folder(root / "bomb")
    packed = gzip.compress(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**28 // 784, 28, 28) + bytes(2**28), 9)
    (folder / IDX_FILES[0]).unlink()
    (folder / f"{IDX_FILES[0]}.gz").write_bytes(packed)
    assert_read_or_refused(lambda: loader.read(str(folder)), folder)
    with pytest.raises(ValueError, match="expected at most 67,108,864 bytes; "):
        loader.read(str(folder))


def test_a_header_that_claims_two_billion_images_is_refused(root):
    folder = idx_folder(root / "claim")
    (folder / IDX_FILES[0]).write_bytes(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 28, 28))
    assert_read_or_refused(lambda: loader.read(str(folder)), folder)
    with pytest.raises(ValueError, match=r"claims \[2147483648, 28, 28\], more than the file can hold"):
        loader.read(str(folder))


# Files that others may have made: photos, models, run folders; and what the environment says.


@functools.cache
def picture(format):
    """A small image of a 7 as a file of that format."""
    image = photographs.plain_seven(40)
    return photographs.file(image, format).getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_a_damaged_image_is_read_or_refused(format):
    @given(content=st.one_of(damaged(picture(format)), st.binary(max_size=200)))
    def check(content):
        try:
            grey = photos.read(io.BytesIO(content))
        except (ValueError, OSError):
            return
        assert grey.dtype == np.float32 and max(grey.shape) <= 2000
        assert 0 <= grey.min() <= grey.max() <= 1

    check()


def test_a_damaged_model_is_loaded_or_refused(finished, root):
    (run, _), _ = finished
    path, whole = root / "model.keras", (run / "model.keras").read_bytes()

    @given(data=st.data())
    def check(data):
        path.write_bytes(data.draw(st.one_of(damaged(whole), st.binary(max_size=200))))
        with contextlib.suppress(ValueError, OSError):
            kerasmlp.load(path)

    check()


def test_a_model_runs_no_code(root):
    """Neither of a Lambda layer, nor of a class that the file names."""
    ran = root / "ran"
    touch = eval(f"lambda x: (__import__('pathlib').Path({str(ran)!r}).touch(), x)[1]")
    layer = keras.layers.Lambda(touch, output_shape=(1,))
    keras.Sequential([keras.Input((1,)), layer]).save(root / "lambda.keras")
    keras.models.load_model(root / "lambda.keras", safe_mode=False)(np.ones((1, 1)))
    ran.unlink()  # so it would run
    with pytest.raises(ValueError, match=r"[Ll]ambda"):
        kerasmlp.load(root / "lambda.keras")
    config = {
        "module": "pathlib",
        "class_name": "Path.touch",
        "config": {"self": str(ran)},
        "registered_name": None,
    }
    with zipfile.ZipFile(root / "other.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(config))
    with pytest.raises((ValueError, OSError)):
        kerasmlp.load(root / "other.keras")
    assert not ran.exists()


SETTINGS_OF_A_RUN = ("hidden_units", "seeds", "model", "data", "loop", "epochs", "recipe")
METRICS_OF_A_RUN = ("model", "dataset", "epochs", "validation_accuracy", "test_accuracy", "inputs")


@given(
    settings=st.one_of(st.dictionaries(st.sampled_from(SETTINGS_OF_A_RUN), JSON), JSON),
    metrics=st.one_of(st.none(), st.dictionaries(st.sampled_from(METRICS_OF_A_RUN), JSON), JSON),
    history=st.binary(max_size=60),
)
def test_any_run_folder_is_listed(settings, metrics, history, root):
    folder = root / "logs/any"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(settings))
    for name in ("metrics.json", "seeds.json"):
        (folder / name).unlink(missing_ok=True)
        if metrics is not None:
            (folder / name).write_text(json.dumps(metrics))
    (folder / "history.csv").write_bytes(history)
    assert list_command.main([str(folder.parent)]) == 0


@given(
    settings=st.dictionaries(st.sampled_from(SETTINGS_OF_A_RUN), JSON),
    metrics=st.one_of(st.dictionaries(st.sampled_from(METRICS_OF_A_RUN), JSON), JSON),
)
def test_any_run_folder_is_evaluated_or_refused(settings, metrics, finished, root):
    (run, _), _ = finished
    folder = root / "evaluated"
    folder.mkdir(exist_ok=True)
    shutil.copy(run / "model.keras", folder)
    settings = {key: value for key, value in settings.items() if key != "model"}
    for name, content in (("config", settings), ("metrics", metrics)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    with pytest.raises((ValueError, OSError)):  # the data are not there
        load_with_data(folder)


@given(name=st.one_of(st.text(max_size=30), st.from_regex(r"[a-z.]{1,6}:?[\w.]{0,6}", fullmatch=True)))
def test_any_name_of_a_model_function_is_refused(name):
    package = name.partition(":")[0].partition(".")[0]
    assume(not package.isidentifier() or importlib.util.find_spec(package) is None)
    with pytest.raises(ValueError):
        new_model(name)


ADDRESSES = st.one_of(st.lists(st.sampled_from(["localhost:1", "x", 3, None]), max_size=3), JSON)
TF_CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "cluster": st.one_of(
            JSON, st.dictionaries(st.sampled_from(["worker", "chief", "ps"]), ADDRESSES, max_size=2)
        ),
        "task": st.one_of(
            JSON,
            st.fixed_dictionaries(
                {}, optional={"type": st.sampled_from(["worker", "chief", "x", 1]), "index": JSON}
            ),
        ),
    },
)


@given(config=st.one_of(TF_CONFIGS.map(json.dumps), JSON.map(json.dumps), st.text(max_size=40)))
def test_any_cluster_is_read_or_refused(config):
    with pytest.MonkeyPatch.context() as patch:
        assume("\0" not in config and config.isprintable())
        patch.setenv("TF_CONFIG", config)
        try:
            cluster = Cluster.from_environment()
        except ValueError as error:
            assert str(error).startswith("TF_CONFIG: expected")
        else:
            assert 0 <= cluster.worker < len(cluster.addresses)
