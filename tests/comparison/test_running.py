"""The loop of a row, ready to be called."""

import functools
import types

import pytest

import own_loops
from kerasmlp import loops
from kerasmlp.comparison import running as of_running
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
        (
            Row("mine", 3),
            r"^mine: expected a function of \(model, train, validation, epochs, callbacks\)$",
        ),
        (Row("mine", 3, is_step=True), r"^mine: expected a function of \(model, x, y\)$"),
        (Row("mine", type), r"^mine: expected a function of \("),  # written in C
        (
            Row("mine", functools.partial(step_of_its_own_model)),
            r"Write: def loop\(model, train, validation, epochs, callbacks\): \.\.\.$",
        ),
    ],
)
def test_a_function_with_other_arguments_is_explained(row, message):
    with pytest.raises(ValueError, match=message), running(row, None, 1):
        pass


def test_a_loop_is_itself_or_of_its_name_and_a_step_is_traced():
    with running(Row("mine", own_loops.by_hand), None, 1) as loop:
        assert loop is own_loops.by_hand
    with running(Row("mine", "own_loops:by_hand"), None, 1) as loop:
        assert loop is own_loops.by_hand
    with running(Row("mine", "own_loops:applied_twice", is_step=True), None, 1) as loop:
        assert type(loop) is type(loops.traced(own_loops.applied_twice))


@pytest.mark.parametrize("strategy, replicas", [("none", 1), ("mirrored", 3)])
def test_a_built_in_loop_is_distributed(strategy, replicas, monkeypatch):
    def distribution(*over):
        return types.SimpleNamespace(loop=lambda name: (*over, name))

    monkeypatch.setattr(of_running, "distribution", distribution)
    row = Row("row", "graph", strategy=strategy, replicas=replicas)
    with running(row, None, 1) as loop:
        assert loop == (strategy, replicas, "graph")
