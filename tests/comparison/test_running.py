"""The loop of a row, ready to be called."""

import pytest

from kerasmlp.comparison.row import Row
from kerasmlp.comparison.running import running


def step_of_its_own_model(x, y):
    """As in many tutorials: the model is a global variable."""


@pytest.mark.parametrize(
    "row, message",
    [
        (
            Row("mine", step_of_its_own_model, is_step=True),
            r"mine: expected a train step that takes \(model, x, y\); received \(x, y\)\. It must train"
            r" the model that it is given, .* Write: def step_of_its_own_model\(model, x, y\): \.\.\.$",
        ),
        (
            Row("mine", lambda model, train: None),
            r"mine: expected a loop that takes \(model, train, validation, epochs, callbacks\);",
        ),
        (Row("mine", 3), r"mine: expected a function of \(model, train, "),
    ],
)
def test_a_function_with_other_arguments_is_explained(row, message):
    with pytest.raises(ValueError, match=message), running(row, None, 1):
        pass
