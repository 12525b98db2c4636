"""A row is read from its spelling."""

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
