"""`.npz` files as users have them: taken where they have one meaning, refused with lines that help."""

import gzip
import pickle

import numpy as np
import pytest

from helpers import assert_same
from kerasmlp.data import AnyArrays, MNISTLoader, notes, read_source
from kerasmlp.data.advice import WrongArraysError, listed
from kerasmlp.data.labels import as_integers
from kerasmlp.data.npz import Header
from kerasmlp.data.pixels import as_bytes, square_side

NAMES = ("x_train", "y_train", "x_test", "y_test")


@pytest.fixture(autouse=True)
def _notes_again():
    notes.note.cache_clear()


@pytest.fixture
def square():
    """Twelve images to train on and six to test on, 4x4, which black and white are in; three classes."""
    random = np.random.default_rng(3)
    x = random.integers(256, size=(18, 4, 4), dtype=np.uint8)
    x[0, 0, :2] = x[12, 0, :2] = 0, 255
    y = np.arange(18, dtype=np.uint8) % 3
    return {"x_train": x[:12], "y_train": y[:12], "x_test": x[12:], "y_test": y[12:]}


@pytest.fixture
def read(tmp_path):
    """Writes an `.npz` file, and reads it as `--data` does. Returns the four arrays."""

    def call(name="digits.npz", **arrays):
        path = tmp_path / name
        np.savez(path, **arrays)
        return arrays_of(path)

    return call


def arrays_of(path):
    loader = MNISTLoader(str(path))
    return loader.train_data, loader.train_label, loader.test_data, loader.test_label


def expected(arrays):
    x_train, y_train, x_test, y_test = (arrays[name] for name in NAMES)
    return x_train[..., None], y_train.astype(np.int32), x_test[..., None], y_test.astype(np.int32)


def changed(arrays, part, function):
    """The arrays with the images, or the labels, changed."""
    return {name: function(each) if name[0] == part else each for name, each in arrays.items()}


PIXELS = {
    "float32 to 1": lambda x: x / np.float32(255),
    "float64 to 1": lambda x: x / 255,
    "float16 to 1": lambda x: (x / 255).astype(np.float16),
    "a little above 1": lambda x: x / 255 * 1.0000002,
    "float32 to 255": lambda x: x.astype(np.float32),
    "fractions to 255": lambda x: np.clip(x + 0.3, 0, 255),
    "int64": lambda x: x.astype(np.int64),
    "uint16, big-endian": lambda x: x.astype(">u2"),
    "rows": lambda x: x.reshape(len(x), -1),
    "rows of floats to 1": lambda x: x.reshape(len(x), -1) / 255,
    "channels first": lambda x: x[:, None],
    "channels last": lambda x: x[..., None],
    "in the order of Fortran": np.asfortranarray,
}


@pytest.mark.parametrize("form", PIXELS.values(), ids=PIXELS)
def test_pixels_of_one_meaning_become_the_same_bytes(form, square, read):
    assert_same(read(**changed(square, "x", form)), expected(square))


def test_booleans_are_black_and_white(square, read):
    found = read(**changed(square, "x", lambda x: x > 100))
    assert_same(found, expected(changed(square, "x", lambda x: np.uint8(255) * (x > 100))))


def test_colours_first_become_colours_last(square, read):
    colours = changed(square, "x", lambda x: np.stack([x, x // 2, x // 3], axis=1))
    found = read(**changed(colours, "x", lambda x: x / 255))
    assert found[0].shape == (12, 4, 4, 3)
    assert np.array_equal(found[0], np.moveaxis(colours["x_train"], 1, 3))


def test_a_dark_test_part_is_read_as_the_training_part(square, read):
    """Its pixels are at most 1, which alone would be white."""
    dark = {**square, "x_test": square["x_test"] // 255}
    found = read(**changed(dark, "x", lambda x: x.astype(np.float32)))
    assert_same(found, expected(dark))
    assert found[2].max() == 1


LABELS = {
    "one-hot bytes": lambda y: np.eye(3, dtype=np.uint8)[y],
    "one-hot floats": lambda y: np.eye(3)[y],
    "one-hot booleans": lambda y: np.eye(3, dtype=bool)[y],
    "strings": lambda y: y.astype(str),
    "bytes": lambda y: y.astype("S1"),
    "strings with spaces": lambda y: np.array([f" {label} " for label in y]),
    "floats": lambda y: y.astype(np.float32),
    "a column": lambda y: y[:, None],
    "a column of floats": lambda y: y[:, None].astype(float),
    "a row": lambda y: y[None],
    "int64": lambda y: y.astype(np.int64),
}


@pytest.mark.parametrize("form", LABELS.values(), ids=LABELS)
def test_labels_of_one_meaning_become_the_same_integers(form, square, read):
    assert_same(read(**changed(square, "y", form)), expected(square))


KEYS = {
    "MedMNIST's": ("train_images", "train_labels", "test_images", "test_labels"),
    "capitals": ("X_train", "Y_train", "X_test", "Y_test"),
    "a capital": ("X_train", "y_train", "X_test", "y_test"),
    "camel": ("trainX", "trainY", "testX", "testY"),
    "the part last": ("images_train", "labels_train", "images_test", "labels_test"),
    "words": ("training images", "training labels", "testing images", "testing labels"),
    "no underscore": ("xtrain", "ytrain", "xtest", "ytest"),
    "data and target": ("train_data", "train_target", "test_data", "test_target"),
    "short": ("x_tr", "y_tr", "x_te", "y_te"),
    "no names": ("arr_0", "arr_1", "arr_2", "arr_3"),
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_arrays_by_other_names_are_the_same_data(keys, square, read, tmp_path, capsys):
    assert_same(read(**dict(zip(keys, square.values(), strict=True))), expected(square))
    assert capsys.readouterr().err == (
        f"note: {tmp_path / 'digits.npz'}: {', '.join(keys)} are taken as x_train, y_train, x_test,"
        " y_test\n"
    )


def test_arrays_without_names_are_told_apart_by_their_shapes(square, tmp_path):
    x_train, y_train, x_test, y_test = square.values()
    one_hot = np.eye(3, dtype=np.uint8)
    orders = {
        "images first": (x_train, x_test, y_train, y_test),
        "labels first": (y_train, y_test, x_train, x_test),
        "rows": (x_train.reshape(12, 16), one_hot[y_train], x_test.reshape(6, 16), one_hot[y_test]),
    }
    for name, arrays in orders.items():
        np.savez(tmp_path / f"{name}.npz", *arrays)
        assert_same(arrays_of(tmp_path / f"{name}.npz"), expected(square))


def test_what_is_done_is_said_in_one_line(square, read, tmp_path, capsys):
    arrays = changed(square, "x", lambda x: x.reshape(len(x), -1) / np.float32(255))
    arrays = changed(arrays, "y", lambda y: np.eye(3)[y])
    keys = "train_images", "train_labels", "test_images", "test_labels"
    validation = {"val_images": arrays["x_test"], "val_labels": arrays["y_test"]}
    read(**dict(zip(keys, arrays.values(), strict=True)), **validation)
    assert capsys.readouterr().err == (
        f"note: {tmp_path / 'digits.npz'}: {', '.join(keys)} are taken as x_train, y_train, x_test,"
        " y_test; rows of pixels are square images; pixels (float32, 0 to 1) are multiplied by 255;"
        " the labels are the places of the ones in each row; val_images, val_labels are not used\n"
    )


def test_the_form_of_keras_is_read_without_a_word(square, read, capsys):
    names = np.array(["zero", None, 2], dtype=object)
    assert_same(read(**square, class_names=names), expected(square))
    assert capsys.readouterr().err == ""


def converted(error, path):
    """Run the lines of an error. Return the arrays of the file that they write."""
    message = " ".join(str(error).split())  # as a command prints it
    lines = message.partition("which can be read: ")[2]
    assert lines, message
    exec(lines, {})
    return arrays_of(path.with_name(f"{path.stem}-converted.npz"))


AMBIGUOUS = {
    "0 and 1": (lambda x: x // 255, "x_train and x_test are the whole numbers 0 and 1", 255),
    "standardised": (lambda x: (x / 255 - 0.1307) / 0.3081, "are from -0.424213 to 2.82149", None),
    "-1 to 1": (lambda x: x / np.float32(127.5) - 1, "are from -1 to 1", None),
    "int8": (lambda x: x.view(np.int8), "are from -128 to 127", None),
    "16 bits": (lambda x: x.astype(np.uint16) * 257, "are from 0 to 65535", None),
}


@pytest.mark.parametrize("form, message, factor", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_ambiguous_pixels_are_refused_with_lines_that_convert_them(
    form, message, factor, square, read, tmp_path
):
    square["x_train"][0, 1, :2] = 127, 128
    given = changed(square, "x", form)
    given = changed(given, "x", lambda x: x.astype(np.int64)) if factor else given
    with pytest.raises(ValueError, match=message) as raised:
        read(**given)
    assert f"x_train: {given['x_train'].dtype} [12, 4, 4], y_train: uint8 [12]" in str(raised.value)
    right = changed(square, "x", lambda x: x // 255 * np.uint8(factor)) if factor else square
    assert_same(converted(raised.value, tmp_path / "digits.npz"), expected(right))


@pytest.mark.parametrize(
    "pixels, black, white",
    [([300, 65535], 0, 65535), ([-3, 12], -3, 12), ([0.5, 255.5], 0, 255.5), ([-1, 0], -1, 0)],
)
def test_black_is_0_or_what_is_below_it(pixels, black, white):
    members = {"a": np.array([[pixels]], float), "b": np.array([[pixels[::-1]]], float)}
    with pytest.raises(WrongArraysError) as raised:
        as_bytes(members)
    assert raised.value.where == f"if {black:g} is black and {white:g} is white, "
    a = {name: array.copy() for name, array in members.items()}
    exec("; ".join(raised.value.statements), {"a": a, "np": np})
    for name, array in members.items():
        assert a[name] == pytest.approx((array - black) / (white - black))


@pytest.mark.parametrize(
    "highest, factor",
    [(1.0, 255), (1.001, 255), (1.0011, 1), (2.0, 1), (255.0, 1)],
)
def test_numbers_up_to_one_are_scaled(highest, factor):
    images = np.array([[[0.25, highest]]])
    (found, _), (said,) = as_bytes({"a": images, "b": images})
    assert np.array_equal(found, np.rint(images * factor).astype(np.uint8))
    done = "multiplied by 255" if factor == 255 else "taken as 0 to 255"
    assert said == f"pixels (float64, 0.25 to {highest:g}) are {done}"


def test_many_images_are_converted_in_blocks():
    images = np.linspace(0, 255, 2001 * 4).reshape(2001, 2, 2)
    (found, _), _ = as_bytes({"a": images, "b": images})
    assert np.array_equal(found, np.rint(images).astype(np.uint8))


@pytest.mark.parametrize("pixels, side", [(1, 0), (2, 0), (4, 2), (15, 0), (16, 4), (784, 28), (785, 0)])
def test_a_square_image_has_more_than_one_pixel(pixels, side):
    assert square_side(pixels) == side


@pytest.mark.parametrize(
    "shape, becomes",
    [
        ((5, 3, 6, 6), (5, 6, 6, 3)),
        ((5, 1, 6, 6), (5, 6, 6, 1)),
        ((5, 6, 6, 3), (5, 6, 6, 3)),
        ((5, 3, 6, 1), (5, 3, 6, 1)),
        ((5, 1, 1, 3), (5, 1, 1, 3)),
        ((5, 2, 6, 6), (5, 2, 6, 6)),
        ((5, 36), (5, 6, 6)),
        ((5, 6, 6), (5, 6, 6)),
    ],
)
def test_channels_come_last_and_rows_are_square(shape, becomes):
    images = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    (found, _), _ = as_bytes({"a": images, "b": images})
    assert found.shape == becomes
    if shape[1] in (1, 3) and shape != becomes:
        assert np.array_equal(found, np.moveaxis(images, 1, -1))
    else:
        assert found.ravel().tolist() == images.ravel().tolist()


@pytest.mark.parametrize(
    "labels, found, said",
    [
        ([0, 65_535], [0, 65_535], []),
        ([2.0, 3.0], [2, 3], ["labels (float64) are taken as integers"]),
        ([True, False], [1, 0], ["labels (bool) are taken as integers"]),
        ([[0, 1], [1, 0]], [1, 0], ["the labels are the places of the ones in each row"]),
        ([[4], [5]], [4, 5], []),
        ([[4, 5]], [4, 5], []),
        ([" 7", "8 "], [7, 8], ["labels (<U2) are taken as integers"]),
    ],
)
def test_labels_become_integers(labels, found, said):
    (one, other), told = as_integers({"a": np.array(labels), "b": np.array(labels)})
    assert one.tolist() == other.tolist() == found
    assert one.dtype.kind in "iu"
    assert told == said


@pytest.mark.parametrize(
    "labels, message",
    [
        ([0, 65_536], "expected labels from 0 to 65,535; received 0 to 65536"),
        ([-1, 3], "expected labels from 0 to 65,535; received -1 to 3"),
        ([0.5, 1], "expected labels as whole numbers; a has others"),
        ([2.0**53 + 2], "expected labels as whole numbers; a has others"),
        ([2.0**53], "expected labels from 0 to 65,535; received 0 to 9007199254740992"),
        ([[1, 1], [0, 1]], "the rows of a are others"),
        ([[0, 0], [0, 1]], "the rows of a are others"),
        ([[2, 1], [0, 1]], "the rows of a are others"),
        (["1", "x"], "a has other strings"),
        (["1.0"], "a has other strings"),
    ],
)
def test_labels_of_no_meaning_are_refused(labels, message):
    with pytest.raises(WrongArraysError, match=message):
        as_integers({"a": np.array(labels), "b": np.array([0])})


def test_an_error_lists_twelve_arrays_and_how_many_more():
    header = Header(np.dtype(np.uint8), (3, 4))
    few = {f"a{number}": header for number in range(12)}
    assert listed({"a": header, "b": None}) == "it has a: uint8 [3, 4], b: damaged"
    assert listed(few).endswith(", a11: uint8 [3, 4]")
    assert listed({**few, "b": header, "c": None}).endswith(", a11: uint8 [3, 4], 2 more")


def test_a_note_is_said_once(capsys):
    for line in ("one", "two", "one"):
        notes.note(line)
    assert capsys.readouterr().err == "note: one\nnote: two\n"


def test_a_training_part_that_is_nearly_black_is_refused(square, read):
    """It may be 0 and 1 for black and white, as floats."""
    binary = square["x_train"] // 255 * 1.0
    with pytest.raises(ValueError, match="those of x_train are from 0 to 1, and others are up to 255"):
        read(**{**square, "x_train": binary})


def test_a_part_that_is_scaled_beside_one_that_is_not_is_refused(square, read, tmp_path):
    with pytest.raises(
        ValueError, match="those of x_test are from 0 to 1, and others are up to 255"
    ) as e:
        read(**{**square, "x_test": square["x_test"] / 255})
    assert_same(converted(e.value, tmp_path / "digits.npz"), expected(square))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_refused(value, square, read, tmp_path):
    given = changed(square, "x", lambda x: x / 255)
    given["x_test"][2, 1, 1] = value
    square["x_test"][2, 1, 1] = 0
    with pytest.raises(ValueError, match="expected finite pixels; some are NaN or infinite") as raised:
        read(**given)
    assert_same(converted(raised.value, tmp_path / "digits.npz"), expected(square))


WRONG = {
    "one negative pixel": ({"x_test": np.full((6, 4, 4), -1.0)}, "are from -1 to 255"),
    "rows of no square": ({"x_train": np.zeros((12, 15))}, r"reshape\(-1, HEIGHT, WIDTH\)"),
    "text": ({"x_train": np.full((12, 4, 4), "a")}, "expected pixels as numbers; x_train has <U1"),
    "one axis": ({"x_train": np.zeros(12)}, r"height, width\], not empty; x_train is \[12\]"),
    "no axis": ({"x_train": np.zeros(())}, r"width\], not empty; x_train is \[\]"),
    "five axes": ({"x_train": np.zeros((12, 4, 4, 1, 1))}, r"x_train is \[12, 4, 4, 1, 1\]"),
    "no images": ({"x_train": np.zeros((0, 4, 4)), "y_train": np.zeros(0)}, "not empty"),
    "lengths": ({"y_train": np.zeros(11)}, r"12 images and 11 labels; it has x_train: uint8 \[12, 4"),
    "fractions": ({"y_train": np.full(12, 0.5)}, "labels as whole numbers; y_train has others"),
    "NaN": ({"y_train": np.full(12, np.nan)}, "labels as whole numbers; y_train has others"),
    "too large": ({"y_train": np.full(12, 2.0**53 + 2)}, "labels as whole numbers; y_train has others"),
    "several ones": ({"y_train": np.ones((12, 3))}, "a row with one 1 and else 0; the rows of y_train"),
    "columns": (
        {"y_train": np.eye(3)[np.zeros(12, int)], "y_test": np.eye(4)[np.zeros(6, int)]},
        r"as many columns in y_train and y_test; received \[3, 4\]",
    ),
    "no axis of labels": ({"y_train": np.array(3)}, r"y_train as integers .* of shape \[\]"),
    "dates": ({"y_train": np.zeros(12, "M8[s]")}, "expected labels as integers; y_train has datetime64"),
}


@pytest.mark.parametrize("changes, message", WRONG.values(), ids=WRONG)
def test_arrays_without_a_meaning_are_refused_and_listed(changes, message, square, read):
    with pytest.raises(ValueError, match=message) as raised:
        read(**{**square, **changes})
    assert "digits.npz: expected " in str(raised.value)
    assert "; it has x_train: " in str(raised.value)
    assert "\n" not in str(raised.value)


def test_names_of_classes_are_numbered_by_the_lines(square, read, tmp_path):
    names = np.array(["ant", "bee", "cat"])
    with pytest.raises(ValueError, match=r"np\.unique\(.*return_inverse=True\)") as raised:
        read(**changed(square, "y", lambda y: names[y]))
    assert_same(converted(raised.value, tmp_path / "digits.npz"), expected(square))


def test_labels_below_0_are_numbered_by_the_lines(square, read, tmp_path):
    with pytest.raises(ValueError, match="from 0 to 65,535; received -1 to 1") as raised:
        read(**changed(square, "y", lambda y: y.astype(np.int8) - 1))
    assert_same(converted(raised.value, tmp_path / "digits.npz"), expected(square))


def test_probabilities_become_the_largest_by_the_lines(square, read, tmp_path):
    with pytest.raises(ValueError, match="the rows of y_train are others") as raised:
        read(**changed(square, "y", lambda y: np.eye(3)[y] * 0.7 + 0.1))
    assert_same(converted(raised.value, tmp_path / "digits.npz"), expected(square))


def test_colours_in_rows_are_refused_with_both_orders(square, read, tmp_path):
    colours = changed(square, "x", lambda x: np.stack([x, x // 2, x // 3], axis=1))
    with pytest.raises(ValueError, match=r"one colour after the other \(otherwise with 4, 4, 3\)") as e:
        read(**changed(colours, "x", lambda x: x.reshape(len(x), -1)))
    found = converted(e.value, tmp_path / "digits.npz")
    assert np.array_equal(found[0], np.moveaxis(colours["x_train"], 1, 3))


@pytest.mark.parametrize("form", [lambda x: x, lambda x: x.reshape(len(x), -1)], ids=["3", "2"])
def test_examples_along_the_last_axis_are_brought_to_the_first_by_the_lines(
    form, square, read, tmp_path
):
    with pytest.raises(ValueError, match="they are along the last") as raised:
        read(**changed(square, "x", lambda x: np.moveaxis(form(x), 0, -1)))
    assert_same(converted(raised.value, tmp_path / "digits.npz"), expected(square))


@pytest.mark.parametrize(
    "keys", [("images", "labels"), ("x", "y"), ("data", "target"), ("x_train", "y_train"), ("a", "b")]
)
@pytest.mark.parametrize("folder", ["", "it's a folder"])
def test_examples_without_a_test_part_are_split_by_the_lines(keys, folder, square, tmp_path):
    path = tmp_path / folder / "my digits.npz"
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **{keys[0]: square["x_train"], keys[1]: square["y_train"]})
    assert_split(path, keys, square)


def test_two_arrays_without_names_are_split_by_the_lines(square, tmp_path):
    np.savez(tmp_path / "two.npz", square["y_train"], square["x_train"])
    assert_split(tmp_path / "two.npz", ("arr_1", "arr_0"), square)


def assert_split(path, keys, square):
    with pytest.raises(ValueError, match=f"there are only {keys[0]} and {keys[1]}; ") as raised:
        arrays_of(path)
    assert "; with a seventh of them, drawn at random, to test on, this Python" in str(raised.value)
    x_train, y_train, x_test, y_test = converted(raised.value, path)
    assert (len(x_train), len(y_train), len(x_test), len(y_test)) == (11, 11, 1, 1)
    found = {(x.tobytes(), y) for x, y in zip([*x_train, *x_test], [*y_train, *y_test], strict=True)}
    given = zip(square["x_train"], square["y_train"], strict=True)
    assert found == {(x.tobytes(), y) for x, y in given}


def test_a_validation_part_is_the_test_part_by_the_lines(square, read, tmp_path):
    keys = "x_train", "y_train", "x_val", "y_val"
    with pytest.raises(ValueError, match="if x_val and y_val are for that, this Python") as raised:
        read(**dict(zip(keys, square.values(), strict=True)))
    assert_same(converted(raised.value, tmp_path / "digits.npz"), expected(square))


@pytest.mark.parametrize(
    "keys, message",
    [
        (("a", "b", "c", "d"), "there is no x_train, y_train, x_test, y_test; it has a: "),
        (("arr_2", "arr_3", "arr_0", "arr_1"), "it is not clear which is which"),
    ],
)
def test_arrays_of_unknown_names_are_named_by_the_lines(keys, message, square, read, tmp_path):
    with pytest.raises(ValueError, match=message) as raised:
        read(**dict(zip(keys, square.values(), strict=True)))
    assert "; with the right names in it, this Python" in str(raised.value)
    assert_same(converted(raised.value, tmp_path / "digits.npz"), expected(square))


def test_one_array_of_four_files_is_put_beside_the_others_by_the_lines(square, tmp_path):
    for number, array in enumerate(square.values()):
        np.savez(tmp_path / f"k{number}.npz", array)
    with pytest.raises(ValueError, match=r"it has arr_0: uint8 \[12, 4, 4\]; with the paths") as e:
        arrays_of(tmp_path / "k0.npz")
    message = str(e.value)
    for number in range(4):
        message = message.replace("'...npz'", repr(str(tmp_path / f"k{number}.npz")), 1)
    assert_same(converted(message, tmp_path / "k0.npz"), expected(square))


def test_two_names_for_one_array_are_refused(square, read):
    with pytest.raises(ValueError, match="one array for x_train; X_train and train_images both may be"):
        read(
            X_train=square["x_train"],
            train_images=square["x_train"],
            y_train=square["y_train"],
            x_test=square["x_test"],
            y_test=square["y_test"],
        )


def test_pickled_arrays_are_refused_and_converted_by_the_lines(square, read, tmp_path):
    objects = {name: np.array([*array, None], dtype=object)[:-1] for name, array in square.items()}
    assert objects["x_train"].dtype == object
    with pytest.raises(ValueError, match="a pickle can run a program when it is read") as raised:
        read(**objects)
    assert_same(converted(raised.value, tmp_path / "digits.npz"), expected(square))


def test_a_pickled_dict_is_refused_and_converted_by_the_lines(square, read, tmp_path):
    with pytest.raises(ValueError, match="data holds Python objects") as raised:
        read(data=square)
    assert_same(converted(raised.value, tmp_path / "digits.npz"), expected(square))


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("packed", [True, False])
def test_mnist_pkl_gz_is_refused_and_converted_by_the_lines(protocol, packed, square, tmp_path):
    x_train, y_train, x_test, y_test = square.values()
    parts = (x_train, y_train), (x_test, y_test), (x_test, y_test)
    content = pickle.dumps(
        [((x.reshape(len(x), 16) / 255).astype(np.float32), y) for x, y in parts], protocol
    )
    path = tmp_path / ("mnist.pkl.gz" if packed else "mnist.npz")
    path.write_bytes(gzip.compress(content) if packed else content)
    message = f"this is a {'gzip file of a ' if packed else ''}pickle; it is refused"
    with pytest.raises(ValueError, match=message) as raised:
        arrays_of(path)
    assert_same(converted(raised.value, path), expected(square))


def npy(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    return path.read_bytes()


OTHERS = {
    "a web page": (b"\n<!DOCTYPE html><html>404</html>", "this is a web page, so the download failed"),
    "a packed web page": (gzip.compress(b"<html>"), "this is a gzip file of a web page, so the downl"),
    "an S3 error": (b'<?xml version="1.0"?><Error/>', "this is a web page, so the download failed"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull` brings"),
    ".npy": (npy, "this is a .npy file, with one array; np.savez"),
    "IDX": (b"\0\0\x08\x03" + bytes(12), "this is an IDX file; give the folder of the four"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "this is an HDF5 file"),
    "CSV": (b"label,pixel0\n3,0\n", "this is a text file"),
    "gzip": (gzip.compress(b"\x01\x02"), "this is a gzip file"),
    "nothing": (b"", "reading it failed: File is not a zip file"),
}


@pytest.mark.parametrize("content, message", OTHERS.values(), ids=OTHERS)
def test_a_file_that_is_something_else_is_called_by_its_name(content, message, tmp_path):
    path = tmp_path / "mnist.npz"
    path.write_bytes(content(path) if callable(content) else content)
    for any_arrays in (False, True):
        with pytest.raises(ValueError, match=message) as raised:
            read_source(str(path), any_arrays)
        assert f"{path}: expected an .npz file" in str(raised.value)


def test_a_zip_file_without_arrays_is_to_be_unzipped(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("raw/train-images-idx3-ubyte", b"")
    with pytest.raises(ValueError, match="with raw/train-images-idx3-ubyte: unzip it"):
        arrays_of(tmp_path / "archive.zip")


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x.reshape(len(x), 16) / 255,
        lambda x: x / 255,
        lambda x: x.reshape(len(x), 16),
        lambda x: x.astype(np.int64),
        lambda x: x[:, None],
    ],
)
def test_arrays_for_a_model_of_the_users_stay_as_they_are(form, square, tmp_path, capsys):
    given = changed(square, "x", form)
    np.savez(tmp_path / "table.npz", **given)
    found = read_source(str(tmp_path / "table.npz"), any_arrays=True)
    assert isinstance(found, AnyArrays)
    x = found.train.padded[0]
    assert x.shape == given["x_train"].shape
    assert np.array_equal(x, given["x_train"].astype(x.dtype))
    assert capsys.readouterr().err == ""


def test_other_names_are_no_images_for_a_model_of_the_users(square, tmp_path):
    np.savez(tmp_path / "a.npz", **{f"my_{name}": array for name, array in square.items()})
    with pytest.raises(ValueError, match="x_train is missing"):
        read_source(str(tmp_path / "a.npz"), any_arrays=True)
    with pytest.raises(ValueError, match="x_train is missing"):
        MNISTLoader(str(tmp_path / "a.npz"), strict=True)
