"""Which arrays of a file are the images and the labels."""

import numpy as np
import pytest

from kerasmlp.data.advice import WrongArraysError
from kerasmlp.data.keys import Chosen, chosen
from kerasmlp.data.npz import NPZ_MEMBERS, Header


def headers(**shapes):
    """The headers of arrays of bytes; None for a damaged one."""
    of_bytes = np.dtype(np.uint8)
    return {name: None if shape is None else Header(of_bytes, shape) for name, shape in shapes.items()}


IMAGES, LABELS, FEW_IMAGES, FEW_LABELS = (60, 4, 4), (60,), (10, 4, 4), (10,)


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("Train-Images", "Train-Labels", "T10K-Images", "T10K-Labels"),
        ("trn_imgs", "trn_lbls", "tst_imgs", "tst_lbls"),
        ("features_training", "classes_training", "features_testing", "classes_testing"),
        ("pixelsTrainSet", "targetTrainSet", "pixelsTestSet", "targetTestSet"),
    ],
)
def test_names_have_a_part_and_a_kind_in_any_order(names):
    found = headers(**dict(zip(names, (IMAGES, LABELS, FEW_IMAGES, FEW_LABELS), strict=True)))
    extra = headers(Val_X=FEW_IMAGES, names_of_classes=(3,), dev_labels=FEW_LABELS)
    assert chosen(found) == Chosen(names, ())
    assert chosen({**extra, **found}) == Chosen(names, ("Val_X", "dev_labels"))


def test_the_names_of_keras_win_over_others():
    found = headers(train_images=IMAGES, **dict.fromkeys(NPZ_MEMBERS, LABELS))
    assert chosen(found).names == NPZ_MEMBERS


@pytest.mark.parametrize(
    "shapes, order",
    [
        ([IMAGES, LABELS, FEW_IMAGES, FEW_LABELS], [0, 1, 2, 3]),
        ([IMAGES, FEW_IMAGES, LABELS, FEW_LABELS], [0, 2, 1, 3]),
        ([LABELS, FEW_LABELS, IMAGES, FEW_IMAGES], [2, 0, 3, 1]),
        ([(60, 16), (60, 3), (10, 16), (10, 3)], [0, 1, 2, 3]),
        ([(60, 16), (60,), (10, 16), (10,)], [0, 1, 2, 3]),
        ([(11, 4, 4), (11,), FEW_IMAGES, FEW_LABELS], [0, 1, 2, 3]),
        ([FEW_IMAGES, FEW_LABELS, FEW_IMAGES, FEW_LABELS], None),
        ([FEW_IMAGES, FEW_LABELS, IMAGES, LABELS], None),
        ([IMAGES, FEW_LABELS, FEW_IMAGES, LABELS], None),
        ([(60, 15), (60,), (10, 15), (10,)], None),  # no square images
        ([IMAGES, IMAGES, FEW_IMAGES, FEW_LABELS], None),
        ([IMAGES, None, FEW_IMAGES, FEW_LABELS], None),
        ([IMAGES, LABELS, FEW_IMAGES, ()], None),
    ],
)
def test_arrays_without_names_are_told_apart_if_more_are_to_train_on(shapes, order):
    found = headers(**{f"arr_{number}": shape for number, shape in enumerate(shapes)})
    if order is None:
        with pytest.raises(WrongArraysError, match="from these shapes it is not clear which is which"):
            chosen(found)
    else:
        assert chosen(found) == Chosen(tuple(f"arr_{number}" for number in order), ())


def test_arrays_are_numbered_by_their_numbers():
    found = headers(arr_10=FEW_LABELS, arr_2=LABELS, arr_9=FEW_IMAGES, arr_1=IMAGES)
    assert chosen(found).names == ("arr_1", "arr_2", "arr_9", "arr_10")
    with pytest.raises(WrongArraysError, match="there is no x_train, y_train, x_test, y_test"):
        chosen(headers(other=(3,), arr_1=IMAGES, arr_2=LABELS, arr_9=FEW_IMAGES, arr_10=FEW_LABELS))


@pytest.mark.parametrize(
    "names, examples, seventh",
    [
        (("x", "y"), 60, 8),
        (("images", "labels"), 14, 2),
        (("x_train", "y_train"), 13, 1),
        (("a", "b"), 6, 1),
    ],
)
def test_a_seventh_of_examples_without_a_test_part_is_drawn(names, examples, seventh):
    x, y = names
    with pytest.raises(WrongArraysError, match=f"there are only {x} and {y}$") as raised:
        chosen(headers(**{x: (examples, 4, 4), y: (examples,)}))
    assert raised.value.statements == [
        f"i = np.random.default_rng(0).permutation({examples})",
        f"x, y, n = a[{x!r}][i], a[{y!r}][i], {seventh}",
    ]
    assert raised.value.saved == "x_train=x[n:], y_train=y[n:], x_test=x[:n], y_test=y[:n]"


def test_a_validation_part_may_be_the_test_part():
    found = headers(x=IMAGES, y=LABELS, val_x=FEW_IMAGES, val_y=FEW_LABELS)
    with pytest.raises(WrongArraysError, match=r"to test on, beside x and y$") as raised:
        chosen(found)
    assert (raised.value.statements, raised.value.where) == ([], "if val_x and val_y are for that, ")
    expected = "x_train=a['x'], y_train=a['y'], x_test=a['val_x'], y_test=a['val_y']"
    assert raised.value.saved == expected
    with pytest.raises(WrongArraysError, match=r"there are only x and y$"):
        chosen(headers(x=IMAGES, y=LABELS, val_x=FEW_IMAGES))


@pytest.mark.parametrize(
    "shapes, missing, saved",
    [
        (
            {"a": LABELS, "b": FEW_LABELS, "c": FEW_IMAGES, "d": IMAGES},
            "x_train, y_train, x_test, y_test",
            "x_train=a['d'], y_train=a['a'], x_test=a['c'], y_test=a['b']",
        ),
        (
            {"x_train": IMAGES, "y_train": LABELS, "x_test": FEW_IMAGES, "other": FEW_LABELS},
            "y_test",
            "x_train=a['x_train'], y_train=a['y_train'], x_test=a['x_test'], y_test=a['other']",
        ),
        (
            {"a": (1,), "b": (2,), "c": (3,), "d": (4,), "e": (5,)},
            "x_train, y_train, x_test, y_test",
            "x_train=a['e'], y_train=a['d'], x_test=a['c'], y_test=a['b']",
        ),
        ({"a": (1,), "b": (2,), "c": (3,)}, "x_train, y_train, x_test, y_test", None),
        (
            {"a": IMAGES},
            "x_train, y_train, x_test, y_test",
            ", ".join(f"{member}=np.load('...npz')['a']" for member in NPZ_MEMBERS),
        ),
        ({"x_train": IMAGES, "a": (1,), "b": (2,)}, "y_train, x_test, y_test", None),
        ({"x_train": IMAGES, "y_train": LABELS, "x_test": FEW_IMAGES}, "y_test", None),
        ({"x_train": IMAGES, "y_train": LABELS, "y_test": FEW_LABELS}, "x_test", None),
        ({"x": IMAGES, "y": LABELS, "x_test": FEW_IMAGES}, "x_train, y_train, y_test", None),
        ({"x": IMAGES, "images": IMAGES, "y": LABELS}, "x_train, y_train, x_test, y_test", None),
    ],
)
def test_arrays_of_unknown_names_are_named_by_their_shapes(shapes, missing, saved):
    with pytest.raises(WrongArraysError, match=f"there is no {missing}$") as raised:
        chosen(headers(**shapes))
    if saved is None:
        assert raised.value.statements is None
    else:
        assert (raised.value.statements, raised.value.saved) == ([], saved)


def test_two_arrays_of_one_meaning_are_refused():
    found = headers(X_train=IMAGES, train_images=IMAGES, y_train=LABELS)
    with pytest.raises(WrongArraysError, match=r"for x_train; X_train and train_images both may be$"):
        chosen(found)
