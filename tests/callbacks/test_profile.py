import gzip
import json
import urllib.request

import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

import browser
from helpers import compiled, run
from kerasmlp.callbacks import Profile, profile
from kerasmlp.runs.settings import Settings
from kerasmlp.train import train
from small_models import dense


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


@pytest.mark.parametrize("size, epochs, executions, steps", [(1, 3, 10, 10), (4, 4, 4, 12)])
def test_executions_are_profiled_until_there_are_ten_steps(
    size, epochs, executions, steps, digits, tmp_path, capsys
):
    """An epoch has 6 steps: by 4, these are executions of 4 and 2, the first of which is left out."""
    model = compiled(dense, steps_per_execution=size)
    run("graph", model, digits, epochs=epochs, validation=False, callbacks=[Profile(tmp_path)])
    assert f"--profile: profiled {steps} steps" in capsys.readouterr().err
    (path,) = tmp_path.rglob("*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    names = [
        plane.event_metadata[event.metadata_id].name
        for plane in space.planes
        for line in plane.lines
        for event in line.events
    ]
    assert names.count("execution") == executions


def test_a_training_that_ends_early_ends_its_profile(tmp_path, capsys):
    callback = Profile(tmp_path / "train")
    callback.set_params({"steps": 4})
    for batch in (0, 1):
        callback.on_train_batch_begin(batch)
        callback.on_train_batch_end(batch)
    callback.on_train_end()
    callback.on_train_end()  # as in a run that is interrupted
    tf.profiler.experimental.start(str(tmp_path / "other"))  # an error while another one is made
    tf.profiler.experimental.stop()
    assert list((tmp_path / "train").rglob("*.xplane.pb"))
    assert capsys.readouterr().err == ""


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
