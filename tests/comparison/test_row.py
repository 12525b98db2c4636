"""A row is read from its spelling."""

import types

import pytest

from kerasmlp.comparison.row import Row


@pytest.mark.parametrize(
    ("spelling", "loop", "jit_compile", "steps_per_execution"),
    [
        ("fit", "fit", None, None),
        ("fit+jit", "fit", True, None),
        ("graph@20", "graph", None, 20),
        ("graph+jit@100", "graph", True, 100),
        ("mine.loops:best+jit", "mine.loops:best", True, None),
        ("eager", "eager", False, 1),
    ],
)
def test_a_spelling_gives_loop_and_compilation(spelling, loop, jit_compile, steps_per_execution):
    assert Row.parse(spelling) == Row(spelling, loop, False, jit_compile, steps_per_execution)


def test_options_are_used_where_the_spelling_has_none():
    options = {"jit_compile": True, "steps_per_execution": 5}
    assert Row.parse("fit@7", **options) == Row("fit@7", "fit", False, True, 7)
    assert Row.parse("eager", **options) == Row("eager", "eager", False, False, 1)


@pytest.mark.parametrize(
    ("spelling", "row"),
    [
        ("graph+mirrored2", Row("graph+mirrored2", "graph", False, False, None, "mirrored", 2)),
        ("fit+mirrored3@10", Row("fit+mirrored3@10", "fit", False, False, 10, "mirrored", 3)),
        ("fit+multiworker4", Row("fit+multiworker4", "fit", False, False, 1, "multiworker", 4)),
    ],
)
def test_a_spelling_gives_the_distribution(spelling, row):
    assert Row.parse(spelling) == row


@pytest.mark.parametrize(
    "spelling", ["eager+mirrored2", "fit+jit+mirrored2", "mine:loop+mirrored2", "fit+multiworker2@5"]
)
def test_a_loop_that_cannot_be_distributed_is_an_error(spelling):
    with pytest.raises(ValueError, match=r"expected .* received"):
        Row.parse(spelling)


@pytest.mark.parametrize(
    "spelling", ["", "fit+", "fit@0", "fit@", "fit jit", "loop", "eager@2", "fit@1e9"]
)
def test_a_wrong_spelling_is_an_error(spelling):
    with pytest.raises(ValueError, match=r"expected .*received"):
        Row.parse(spelling)


def test_a_row_is_a_loop_on_one_device_that_is_compiled_as_its_model_is():
    assert Row("row", "fit") == Row("row", "fit", False, None, None, "none", 1)
    assert Row.parse("fit") == Row("fit", "fit")


@pytest.mark.parametrize("name, value", [("", None), ("x", "x")])
def test_a_row_has_the_name_that_it_is_given(name, value):
    row = Row.parse("fit+jit", name or None, is_step=bool(name))
    assert (row.name, row.is_step) == (value or "fit+jit", bool(name))


def test_a_spelling_that_may_be_fit_on_one_worker_at_a_step():
    assert Row.parse("fit+multiworker2@1").steps_per_execution == 1
    assert Row.parse("fit+multiworker2", steps_per_execution=1).steps_per_execution == 1
    assert Row.parse("graph+multiworker2@5").steps_per_execution == 5
    with pytest.raises(ValueError, match=r"expected 1 step per execution for fit\+multiworker"):
        Row.parse("fit+multiworker2", steps_per_execution=5)
    with pytest.raises(ValueError, match=r"expected fit or graph, without \+jit, before \+mirrored; "):
        Row.parse("graph+jit+mirrored2")
    with pytest.raises(ValueError, match=r"the eager loop compiles nothing"):
        Row.parse("eager+jit")


@pytest.mark.parametrize("jit_compile", [None, True, False])
@pytest.mark.parametrize("steps", [None, 1, 7])
def test_a_model_is_compiled_as_the_row_says_and_else_as_it_was(jit_compile, steps):
    model = types.SimpleNamespace(jit_compile="auto", steps_per_execution=3)
    row = Row("row", "fit", jit_compile=jit_compile, steps_per_execution=steps)
    assert row.compile(model) is model
    assert model.jit_compile == ("auto" if jit_compile is None else jit_compile)
    assert model.steps_per_execution == (steps or 3)
