"""What is taken from the messages of converters and runtimes."""

import pytest

from kerasmlp.exporting.reasons import FormatError, reason

SINE, COSINE = "'tf.Sine' op is neither a custom op nor", "No Op registered for Cosine"


@pytest.mark.parametrize(
    "said, found",
    [
        (f"{SINE}; {COSINE}; {SINE}", "it has no operation Sine, Cosine"),
        ("in a layer: \x1b[1merror: its\n shape\x1b[0m and so on", "error: its shape"),
        ("one\nerror: loc(fused[a, b]): no such type\ntwo", "no such type"),
        ("one\nerror: no such type\ntwo", "no such type"),
        ("Object Mine\n cannot be saved.  Full object config: {}", "Object Mine cannot be saved."),
        ("x" * 400, "x" * 400),
        ("x" * 401, "x" * 400 + " ..."),
    ],
)
def test_the_reason_is_one_line(said, found):
    assert reason(said) == found
    assert str(FormatError("onnx", said)) == f"onnx: this format cannot hold the model: {found}"
