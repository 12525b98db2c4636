"""The tables and notes of a comparison."""

from kerasmlp.comparison.result import Comparison
from kerasmlp.comparison.verdict import Outcome


def test_names_are_printed_as_they_are():
    """Rich would print `:x:` as an emoji and drop `[bold]`."""
    names = ("mine:x", "[bold]")
    outcomes = tuple(Outcome(name, "failed", f"ValueError: {name}: no", None) for name in names)
    shown = str(Comparison(outcomes, {}))
    for name in names:
        assert f"{name} failed: ValueError: {name}: no" in shown
        assert f" {name} " in shown


def test_the_repr_of_a_comparison_is_short():
    outcomes = Outcome("fit", "identical", None, None), Outcome("mine", "diverges", "step 1", None)
    assert repr(Comparison(outcomes, {})) == "Comparison(fit: identical, mine: diverges)"
