"""Which IDX files are a data set: by their names, in a folder or below it."""

import gzip
import itertools
import os
import shlex
import shutil

import pytest

from helpers import assert_same, idx
from kerasmlp.data.idx_sets import IDX_FILES, is_meant, near
from kerasmlp.data.loader import MNISTLoader, read


@pytest.fixture
def make(arrays):
    """Writes the four IDX files with these names into a folder."""

    def write(folder, names=IDX_FILES, first=0):
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in zip(names, arrays.values(), strict=True):
            content = idx(array[first:])
            (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return folder

    return write


def prefixed(prefix, names=IDX_FILES):
    return [prefix + name for name in names]


QMNIST = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "test-images-idx3-ubyte")
NAMES = {
    "EMNIST's": [f"emnist-digits-{name.replace('t10k', 'test')}.gz" for name in IDX_FILES],
    "test": [name.replace("t10k", "test") for name in IDX_FILES],
    "QMNIST's": [*prefixed("qmnist-", QMNIST), "qmnist-test-labels-idx2-int.gz"],
    "underscores": [name.replace("-", "_") for name in IDX_FILES],
    "capitals": [f"{name.upper()}.GZ" for name in IDX_FILES],
    "points": [name.replace("-idx", ".idx") for name in IDX_FILES],
    "a prefix with a point": prefixed("my.digits-"),
    "no type": [name.rpartition("-")[0] for name in IDX_FILES],
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_files_are_found_by_what_their_names_say(names, make, tmp_path, expected):
    folder = make(tmp_path / "raw", names)
    (folder / "._train-images-idx3-ubyte").write_bytes(b"a Mac's")
    (folder / "emnist-digits-mapping.txt").write_text("0 48")
    for path in (folder, folder / names[0], folder / names[3]):
        arrays, name = read(str(path))
        assert_same(arrays, expected)
        assert name == str(path)


LAYOUTS = {
    "torchvision's": lambda name: f"MNIST/raw/{name}",
    "Kaggle's": lambda name: f"{name}/{name}",
    "Kaggle's, with a point": lambda name: f"{name}/{name.replace('-idx', '.idx')}",
    "Kaggle's, deeper": lambda name: f"archive/{name}/{name}",
    "train and test": lambda name: f"{'train' if 'train' in name else 'test'}/{name}",
    "images and labels": lambda name: f"{'images' if 'images' in name else 'labels'}/{name}",
}


@pytest.mark.parametrize("place", LAYOUTS.values(), ids=LAYOUTS)
def test_files_in_folders_below_are_found(place, make, tmp_path, expected):
    flat, root = make(tmp_path / "flat"), tmp_path / "root"
    for name in IDX_FILES:
        (root / place(name)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(flat / name, root / place(name))
    for hidden in (".git", "__MACOSX"):
        (root / hidden).mkdir()
        (root / hidden / "._train-images-idx3-ubyte").touch()
    (root / ".git/train-images-idx3-ubyte").touch()
    assert_same(read(str(root))[0], expected)
    assert_same(read(str(root / place(IDX_FILES[1])))[0], expected)
    folder = (root / place(IDX_FILES[1])).parent
    if folder.name == IDX_FILES[1]:
        assert_same(read(str(folder))[0], expected)
        make(
            folder.parent, [name.replace("-idx", ".idx") for name in IDX_FILES], first=2
        )  # as on Kaggle
        assert len(read(str(folder.parent))[0].train_data) == 10
        assert_same(read(str(folder))[0], expected)


def test_a_misspelt_folder_is_answered_by_what_is_beside_it(make, tmp_path):
    make(tmp_path / "mnist")
    with pytest.raises(FileNotFoundError, match=rf"not exist; there is --data {tmp_path}/mnist$"):
        read(str(tmp_path / "mnst"))


def test_the_folder_itself_comes_before_those_below(make, tmp_path, expected):
    make(tmp_path / "raw")
    make(tmp_path / "raw/more", first=3)
    make(tmp_path / "raw/train-images-idx3-ubyte-old", first=3)
    assert_same(read(str(tmp_path / "raw"))[0], expected)


def test_a_set_of_several_in_a_folder_is_chosen_by_its_prefix(make, tmp_path, expected):
    for number, kind in enumerate(("digits", "letters")):
        make(tmp_path / "raw", prefixed(f"emnist-{kind}-"), first=number)
    raw = tmp_path / "raw"
    with pytest.raises(ValueError, match="expected one data set; there are 2: give ") as raised:
        read(str(raw))
    assert given(raised.value) == [f"{raw}/emnist-digits", f"{raw}/emnist-letters"]
    for path in (
        *given(raised.value)[:1],
        raw / "EMNIST-Digits",
        raw / "emnist-digits-",
        raw / f"emnist-digits-{IDX_FILES[2]}",
    ):
        assert_same(read(str(path))[0], expected)
    assert len(read(f"{raw}/emnist-letters")[0].train_data) == 11
    with pytest.raises(FileNotFoundError, match=r"not exist; there is --data .*/emnist-digits, and"):
        read(f"{raw}/emnist-digit")


def given(error):
    """What the error says to give, as a shell takes it."""
    words = shlex.split(str(error).replace(",", " ").replace(" or ", " "))
    return [word for flag, word in itertools.pairwise(words) if flag == "--data"]


def test_a_set_without_prefix_beside_others_is_chosen_by_a_file(make, tmp_path, expected):
    folder = make(make(tmp_path / "it is mixed"), prefixed("kmnist-"), first=1)
    with pytest.raises(ValueError, match="there are 2") as raised:
        read(str(folder))
    found = [read(path)[0] for path in given(raised.value)]
    assert [len(arrays.train_data) for arrays in found] == [11, 12]
    assert_same(found[1], expected)


def test_sets_in_several_folders_are_listed(make, tmp_path, expected):
    make(tmp_path / "MNIST/raw")
    make(tmp_path / "FashionMNIST/raw", first=2)
    make(tmp_path / "KMNIST/raw", first=2)
    (tmp_path / "KMNIST/raw" / IDX_FILES[3]).unlink()
    with pytest.raises(ValueError, match="there are 3") as raised:
        read(str(tmp_path))
    assert f"KMNIST/raw (where {IDX_FILES[3]} is missing)" in str(raised.value)
    fashion, kuzushiji, digits = given(raised.value)
    assert len(read(fashion)[0].train_data) == 10
    assert_same(read(digits)[0], expected)
    with pytest.raises(FileNotFoundError, match=f"{IDX_FILES[3]} is missing"):
        read(kuzushiji)


def test_halves_of_two_sets_are_not_joined(make, tmp_path):
    for name, left in (("MNIST", IDX_FILES[2:]), ("FashionMNIST", IDX_FILES[:2])):
        make(tmp_path / name / "raw")
        for file in left:
            (tmp_path / name / "raw" / file).unlink()
    with pytest.raises(ValueError, match="there are 2"):
        read(str(tmp_path))


def test_two_sets_of_test_files_are_refused(make, tmp_path):
    make(tmp_path)
    shutil.copy(tmp_path / IDX_FILES[2], tmp_path / "test-images-idx3-ubyte")
    with pytest.raises(ValueError, match=r"one set of test files; received t10k-images.*, test-images"):
        read(str(tmp_path))


@pytest.mark.parametrize("prefix", ["", "emnist-digits-"])
def test_a_missing_file_is_named_with_what_there_is(prefix, make, tmp_path):
    make(tmp_path / "raw", prefixed(prefix))
    (tmp_path / "raw" / f"{prefix}{IDX_FILES[1]}").rename(tmp_path / "raw/train-labels.gz.part")
    message = (
        f"raw: expected four IDX files, .*; {prefix}{IDX_FILES[1]} is missing; there is"
        rf" .*{prefix}{IDX_FILES[0]}.*, train-labels\.gz\.part"
    )
    for path in (tmp_path, tmp_path / "raw", tmp_path / "raw" / f"{prefix}{IDX_FILES[0]}"):
        with pytest.raises(FileNotFoundError, match=message):
            read(str(path))


def test_files_are_looked_for_four_folders_deep(make, tmp_path, expected):
    folder = make(tmp_path / "1/2/3/4")
    assert_same(read(str(tmp_path))[0], expected)
    (tmp_path / "root").mkdir()
    (tmp_path / "1").rename(tmp_path / "root/1")
    with pytest.raises(FileNotFoundError, match="expected IDX files"):
        read(str(tmp_path))
    assert_same(read(str(tmp_path / "root"))[0], expected)
    assert not folder.exists()


def test_what_is_beside_a_path_is_one_folder_deep(make, tmp_path):
    make(tmp_path / "1/2")
    assert near(tmp_path / "none") == ""
    assert near(tmp_path / "1/none") == f"; there is --data {tmp_path}/1/2"
    assert near(tmp_path / "none/none") == ""
    assert near(tmp_path / "1/2/none") == f"; there is --data {tmp_path}/1/2"
    assert not is_meant(tmp_path / "1/none")
    assert is_meant(tmp_path / "1")
    (tmp_path / "note.txt").touch()
    assert not is_meant(tmp_path / "note.txt")
    assert is_meant(tmp_path / "1/2" / IDX_FILES[0])


@pytest.mark.parametrize("missing", [(0,), (1, 3), (0, 1, 2)])
def test_all_missing_files_are_named(missing, make, tmp_path):
    folder = make(tmp_path / "raw", prefixed("my-"))
    names = [f"my-{IDX_FILES[number]}" for number in missing]
    for name in names:
        (folder / name).unlink()
    are = "is missing" if len(missing) == 1 else "are missing"
    with pytest.raises(FileNotFoundError, match=f"; {' and '.join(names)} {are}; there is"):
        read(str(folder))


@pytest.mark.parametrize("count, more", [(11, ""), (12, ""), (13, ", 1 more"), (30, ", 18 more")])
def test_twelve_names_are_listed(count, more, tmp_path):
    for number in range(count):
        (tmp_path / f"{number:02}.png").touch()
    (tmp_path / ".hidden").touch()
    listed = ", ".join(f"{number:02}.png" for number in range(min(count, 12)))
    with pytest.raises(FileNotFoundError, match=f"below it; there is {listed}{more}$"):
        read(str(tmp_path))


def test_parts_in_folders_of_other_names_are_not_joined(make, tmp_path):
    for left, folder in ((IDX_FILES[2:], "one"), (IDX_FILES[:2], "two")):
        make(tmp_path / folder)
        for name in left:
            (tmp_path / folder / name).unlink()
    with pytest.raises(ValueError, match="there are 2: give"):
        read(str(tmp_path))


def test_parts_that_are_there_twice_are_not_joined(make, tmp_path):
    make(tmp_path / "train")
    make(tmp_path / "test")
    with pytest.raises(ValueError, match="there are 2: give"):
        read(str(tmp_path))


def test_a_folder_without_idx_files_says_what_there_is(tmp_path):
    for name in ("mnist.npz", *(f"{number:02}.png" for number in range(20))):
        (tmp_path / name).touch()
    with pytest.raises(
        FileNotFoundError, match=rf"such as {IDX_FILES[0]},.*; there is 00.png, .*, 9 more$"
    ):
        read(str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"there is nothing$"):
        read(str(tmp_path / "empty"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all folders")
def test_a_folder_of_somebody_else_is_passed_over(make, tmp_path, expected):
    make(tmp_path / "raw")
    (tmp_path / "lost+found").mkdir(mode=0)
    assert_same(read(str(tmp_path))[0], expected)


def test_relative_paths_are_read(make, tmp_path, expected, monkeypatch):
    make(tmp_path / "MNIST/raw")
    for folder, path in (
        (".", "MNIST"),
        ("MNIST/raw", "."),
        ("MNIST/raw", IDX_FILES[0]),
        ("MNIST", f"raw/{IDX_FILES[2]}"),
    ):
        monkeypatch.chdir(tmp_path / folder)
        assert_same(read(path)[0], expected)


def test_of_emnist_a_line_tells_how_it_is_turned(make, tmp_path, capsys, arrays):
    make(tmp_path / "gzip", prefixed("emnist-letters-"))
    loader = MNISTLoader(str(tmp_path / "gzip"))
    assert capsys.readouterr().err == (
        f"note: {tmp_path / 'gzip'}: EMNIST's images lie on their side in its files; --transpose turns"
        " them upright\n"
    )
    assert loader.image_shape == (4, 5, 1)
    turned = MNISTLoader(str(tmp_path / "gzip/emnist-letters"), transpose=True)
    assert capsys.readouterr().err == ""
    for found, name in ((turned.train_data, "x_train"), (turned.test_data, "x_test")):
        assert found.shape[1:] == (5, 4, 1)
        assert all(
            (image[..., 0] == given.T).all() for image, given in zip(found, arrays[name], strict=True)
        )
