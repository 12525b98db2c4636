import numpy as np
import pytest

from helpers import assert_same
from kerasmlp.data.arrays import checked

WRONG_ARRAYS = {
    "lengths": ({"y_train": np.zeros(11, np.uint8)}, "12 images and 11 labels"),
    "NaN": (
        {"x_train": np.full((12, 4, 5), np.nan, np.float32)},
        "x_train as bytes 0-255 .* received float32",
    ),
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
        r"the same shape; received \(4, 5, 1\) and \(5, 5, 1\)",
    ),
    "one-hot": ({"y_train": np.zeros((12, 3), np.uint8)}, r"received uint8 of shape \[12, 3\]"),
}


@pytest.mark.parametrize("changes, message", WRONG_ARRAYS.values(), ids=WRONG_ARRAYS)
def test_a_wrong_array_is_an_error_that_names_it(arrays, changes, message):
    with pytest.raises(ValueError, match=message) as raised:
        checked("the data", tuple({**arrays, **changes}.values()))
    assert str(raised.value).startswith("the data: ")


def test_colour_images_and_labels_in_a_column_are_accepted(arrays, expected):
    x_train, x_test = (np.stack([arrays[name]] * 3, axis=-1) for name in ("x_train", "x_test"))
    y_train = arrays["y_train"][:, None].astype(np.int64)
    found = checked("the data", (x_train, y_train, x_test, arrays["y_test"]))
    assert found.train_data.shape == (12, 4, 5, 3)
    assert_same(found, expected._replace(train_data=x_train, test_data=x_test))


@pytest.mark.parametrize("label, fits", [(65_535, True), (65_536, False), (0, True), (-1, False)])
def test_labels_are_from_0_to_65535(label, fits, arrays):
    members = {**arrays, "y_test": np.full(6, label, np.int64)}
    if fits:
        assert checked("the data", tuple(members.values())).test_label.tolist() == [label] * 6
    else:
        with pytest.raises(ValueError, match="expected the labels y_test from 0 to 65,535"):
            checked("the data", tuple(members.values()))


@pytest.mark.parametrize(
    "changes", [{"x_test": np.zeros((7, 4, 5), np.uint8)}, {"y_test": np.zeros(7, int)}]
)
def test_each_test_image_has_a_label(changes, arrays):
    with pytest.raises(ValueError, match="expected one label for each test image"):
        checked("the data", tuple({**arrays, **changes}.values()))
