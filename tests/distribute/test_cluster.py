"""The cluster that the environment describes."""

import pytest

from kerasmlp import train


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"cluster": {"worker": ["127.0.0.1:1"]}}',
        '{"cluster": {"worker": []}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["127.0.0.1:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["127.0.0.1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"ps": ["127.0.0.1:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": "127.0.0.1:1"}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_cluster_that_is_not_described_as_it_should_be(config, capsys, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    assert train.main(["--data", "mnist5k", "--strategy", "multiworker"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: TF_CONFIG: expected {") and error.endswith(
        f"received {config}".strip()
    )
