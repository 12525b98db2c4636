"""How rows are spelled, and what they start from."""

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


def test_what_a_spelling_leaves_open_is_given_for_all_rows():
    given = {"jit_compile": True, "steps_per_execution": 5}
    assert Row.parse("fit@7", **given) == Row("fit@7", "fit", False, True, 7)
    assert Row.parse("eager", **given) == Row("eager", "eager", False, False, 1)


@pytest.mark.parametrize(
    "spelling", ["", "fit+", "fit@0", "fit@", "fit jit", "loop", "eager@2", "fit@1e9"]
)
def test_another_spelling_is_an_error(spelling):
    with pytest.raises(ValueError, match=r"expected .*received"):
        Row.parse(spelling)
