import gzip
import json
import urllib.request

import pytest

import browser
from kerasmlp.callbacks import profile
from kerasmlp.runs.settings import Settings
from kerasmlp.train import train


def profiled(tmp_path, npz, **given):
    """Train a run with `--profile`; return the paths of its profiles."""
    settings = {"data": str(npz), "validation_size": 0, "batch_size": 5, "summaries": (), "epochs": 3}
    settings["jit_compile"] = False
    folder, _ = train(Settings(logdir=tmp_path, name="x", profile=True, **{**settings, **given}))
    return list((folder / "train").rglob("*.xplane.pb"))


@pytest.mark.parametrize("installed", [True, False])
def test_one_profile_is_written(installed, tmp_path, npz, capfd, monkeypatch):
    monkeypatch.setattr(profile, "PLUGIN", "json" if installed else "no_such_package")
    (written,) = profiled(tmp_path, npz)
    content = written.read_bytes()
    assert b"execution" in content
    assert b"train_step" in content or b"cluster" in content or b"call" in content
    error = capfd.readouterr().err
    assert "--profile: profiled 16 steps" in error
    assert ("pip install tensorboard-plugin-profile" in error) is not installed


def test_a_single_execution_is_not_profiled(tmp_path, npz, capfd):
    assert profiled(tmp_path, npz, epochs=1) == []
    error = capfd.readouterr().err
    assert "--profile: no profile: expected at least 2 executions; received 1" in error


@pytest.mark.thorough
def test_tensorboard_has_a_dashboard_of_the_profile(tmp_path, npz):
    pytest.importorskip(profile.PLUGIN)
    (written,) = profiled(tmp_path, npz)
    with browser.tensorboard(tmp_path) as address:

        def said(path):
            with urllib.request.urlopen(f"{address}data/plugin/profile/{path}") as answer:
                content = answer.read()
            zipped = answer.headers["Content-Encoding"] == "gzip"
            return json.loads(gzip.decompress(content) if zipped else content)

        (run,) = said("runs")
        assert run == f"x/train/{written.parent.name}"
        assert "trace_viewer@" in said(f"run_tools?run={run}")
