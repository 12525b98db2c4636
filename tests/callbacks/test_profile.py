import pytest

from kerasmlp.callbacks import profile
from kerasmlp.runs.settings import Settings
from kerasmlp.train import train


def profiled(tmp_path, npz, **given):
    settings = {"data": str(npz), "validation_size": 0, "batch_size": 5, "summaries": (), "epochs": 3}
    folder, _ = train(Settings(logdir=tmp_path, name="x", profile=True, **{**settings, **given}))
    return list((folder / "train").rglob("*.xplane.pb"))


@pytest.mark.parametrize("installed", [True, False])
def test_a_profile_is_written_once(installed, tmp_path, npz, capfd, monkeypatch):
    monkeypatch.setattr(profile, "PLUGIN", "json" if installed else "no_such_package")
    (written,) = profiled(tmp_path, npz)
    content = written.read_bytes()
    assert b"execution" in content
    assert b"train_step" in content or b"cluster" in content or b"call" in content
    said = capfd.readouterr().err
    assert "--profile: 16 steps were profiled" in said
    assert ("pip install tensorboard-plugin-profile" in said) is not installed


def test_one_execution_is_too_few_and_that_is_said(tmp_path, npz, capfd):
    assert profiled(tmp_path, npz, epochs=1) == []
    assert "--profile: nothing was profiled: there were too few executions, 1" in capfd.readouterr().err
