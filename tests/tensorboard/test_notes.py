import pytest

from kerasmlp.tensorboard import notes


@pytest.mark.parametrize(
    "message, reason",
    [
        ("one\ntwo", "one"),
        (
            "\x1b[1mException encountered when calling call().\x1b[0m\n\n  \x1b[1;31mno\x1b[0m\nmore",
            "no",
        ),
        ("Exception encountered when calling Own.call().", "ZeroDivisionError"),
        ("", "ZeroDivisionError"),
        ("a" * 201, "a" * 200),
    ],
    ids=["lines", "Keras", "Keras alone", "no text", "long"],
)
def test_a_note_has_the_first_line_of_the_error(message, reason, capsys):
    notes.left_out("graph", ZeroDivisionError(message))
    assert capsys.readouterr() == ("", f"note: TensorBoard shows no graph of this model: {reason}\n")
