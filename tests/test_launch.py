"""The command launch."""

import pytest

from kerasmlp import launch


@pytest.mark.parametrize(
    "argv, message",
    [
        ([], "expected a command after --, as in: -- train --loop graph"),
        (
            ["--", "export"],
            "--command: expected train, the one command that workers can share; received 'export'",
        ),
        (["--workers", "0", "--", "train"], "--workers: expected at least 1; received 0"),
    ],
)
def test_what_cannot_be_launched_is_said_in_a_line(argv, message, capsys):
    assert launch.main(argv) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
