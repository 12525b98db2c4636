import datetime
import json
import os
import platform
import types
from pathlib import Path

import pytest
import tensorflow as tf

from kerasmlp.runs import environment, run_folder, versions
from kerasmlp.runs.settings import Settings


def test_a_run_without_a_name_never_takes_the_folder_of_another(tmp_path):
    folders = {run_folder.create(tmp_path / "all/logs", None, "fit-seed0") for _ in range(4)}
    assert len(folders) == 4
    assert all(folder.is_dir() and "-fit-seed0" in folder.name for folder in folders)


def test_a_run_without_a_name_is_named_by_its_time_and_a_number(tmp_path, monkeypatch):
    now = types.SimpleNamespace(now=lambda: datetime.datetime(2026, 1, 2, 3, 4, 5))
    monkeypatch.setattr(run_folder, "datetime", types.SimpleNamespace(datetime=now))
    names = [run_folder.create(tmp_path, None, "fit-seed0").name for _ in range(3)]
    assert names == [f"20260102-030405-fit-seed0{number}" for number in ("", "-2", "-3")]


def test_an_empty_folder_is_taken_when_a_run_is_to_be_resumed(tmp_path):
    mine = tmp_path / "mine"
    (mine / "checkpoints").mkdir(parents=True)
    assert run_folder.create(tmp_path, "mine", "", resume=True) == mine
    (mine / run_folder.LOCK).touch()  # of a process that was killed
    assert run_folder.create(tmp_path, "mine", "", resume=True) == mine
    with pytest.raises(FileExistsError, match="mine exists"):
        run_folder.create(tmp_path, "mine", "")
    (mine / "checkpoints/step-000000001.npz").touch()
    with pytest.raises(FileExistsError, match="mine exists"):
        run_folder.create(tmp_path, "mine", "", resume=True)
    assert run_folder.create(tmp_path, "new", "", resume=True).is_dir()


def test_the_newest_run_was_begun_or_resumed_last(tmp_path, monkeypatch):
    assert run_folder.newest(tmp_path / "nowhere") is None
    configs = {"b": {"recipe": "x"}, "c": {"recipe": "x", "seeds": 3}, "a": {"epochs": 1}}
    for time, (name, config) in enumerate(configs.items(), start=1000):
        (tmp_path / "logs" / name).mkdir(parents=True)
        path = tmp_path / "logs" / name / run_folder.SETTINGS
        path.write_text(json.dumps(config))
        os.utime(path, (time, time))
    logs = tmp_path / "logs"
    assert [folder.name for folder in run_folder.begun(logs)] == ["b", "c", "a"]
    makers = [run_folder.made_by(config) for config in configs.values()]
    assert makers == ["kerasmlp.train", "kerasmlp.seeds", "kerasmlp.fit"]
    assert run_folder.newest(logs) == logs / "a"
    os.utime(logs / "a" / run_folder.SETTINGS, (900, 900))
    assert run_folder.newest(logs) == logs / "b"  # that of `seeds` is not meant
    assert (run_folder.is_begun(logs / "a"), run_folder.is_begun(logs)) == (True, False)
    monkeypatch.chdir(tmp_path)
    latest = Path("latest")
    assert run_folder.named(latest) == Path("logs/b")
    assert run_folder.named(Path("c")) == Path("c")
    latest.touch()
    assert run_folder.named(latest) == latest
    latest.unlink()
    logs.rename("others")
    assert run_folder.named(latest) == latest


@pytest.mark.parametrize(
    "module, folder, command",
    [
        ("kerasmlp.train", "logs/a b", "python -m kerasmlp.train --resume --name 'a b'"),
        ("kerasmlp.seeds", "x/mine", "python -m kerasmlp.seeds --resume --name mine --logdir x"),
        ("kerasmlp.fit", "logs/mine", "kerasmlp.fit(..., run='logs/mine', resume=True)"),
    ],
)
def test_a_run_is_resumed_by_a_command_or_a_call(module, folder, command):
    assert run_folder.resume_command(module, Path(folder)) == command


def test_a_locked_folder_is_refused_and_then_free_again(tmp_path):
    with run_folder.locked(tmp_path):
        refused = pytest.raises(BlockingIOError, match="another process is training this run")
        with refused, run_folder.locked(tmp_path):
            pass
        assert (tmp_path / run_folder.LOCK).exists()
    assert not (tmp_path / run_folder.LOCK).exists()
    with pytest.raises(KeyError), run_folder.locked(tmp_path):
        raise KeyError
    with run_folder.locked(tmp_path):
        assert (tmp_path / run_folder.LOCK).exists()


@pytest.mark.parametrize("content", [None, "", "{", "[1]", "3", "[" * 100_000, b"\xff"])
def test_what_is_no_json_object_is_nothing(content, tmp_path):
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert run_folder.read_json(path) == {}
    path.write_text('{"a": 1}')
    assert run_folder.read_json(path) == {"a": 1}


def test_a_name_that_exists_is_refused(tmp_path):
    folder = run_folder.create(tmp_path, "mine", "")
    assert folder == tmp_path / "mine"
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("mine", "dangling"):
        with pytest.raises(FileExistsError, match=f"expected the name of a new run; .*{name} exists"):
            run_folder.create(tmp_path, name, "")


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "config.json"
    run_folder.write_json(path, Settings(logdir=Path("x")))
    before = path.read_text()
    assert json.loads(before)["logdir"] == "x"
    assert before.startswith('{\n  "loop": "fit",\n')
    assert before.endswith("\n}\n")
    with pytest.raises(ValueError, match="Circular"):
        loop = []
        loop.append(loop)
        run_folder.write_json(path, loop)
    assert path.read_text() == before


def test_the_environment_names_versions_and_machine(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    found = environment()
    names = {"python", "kerasmlp", "tensorflow", "keras", "numpy", "tensorboard"}
    assert found["versions"].keys() == names
    assert found["versions"]["python"] == platform.python_version()
    assert found["machine"]["platform"] == platform.platform()
    assert found["machine"]["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert found["versions"]["tensorflow"] == tf.__version__
    assert found["machine"]["cores"] >= 1
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and "model name" in cpuinfo.read_text():
        assert f"model name\t: {found['machine']['processor']}\n" in cpuinfo.read_text()


@pytest.mark.parametrize(
    "cpuinfo, processor",
    [
        ("processor\t: 0\nmodel name\t: One: 3 GHz \nmodel name\t: Two\n", "One: 3 GHz"),
        ("Hardware\t: BCM\n", "of platform"),
        (None, "of platform"),
    ],
)
def test_the_processor_is_named_as_far_as_it_is_known(cpuinfo, processor, tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    if cpuinfo:
        path.write_text(cpuinfo)
    monkeypatch.setattr(versions, "Path", lambda _: path)
    monkeypatch.setattr(versions.platform, "processor", lambda: "of platform")
    assert versions._processor() == processor


def test_files_are_cut_but_never_made_longer(tmp_path):
    history, events = tmp_path / "history.csv", tmp_path / "events.out.tfevents.1"
    history.write_text("short")
    events.touch()
    assert run_folder.lengths(tmp_path) == {"history.csv": 5, "events.out.tfevents.1": 0}
    run_folder.cut(tmp_path, {"history.csv": 9, "events.out.tfevents.1": 0})
    assert history.read_text() == "short"
    assert not events.exists()
    run_folder.cut(tmp_path, {"history.csv": 5})
    assert history.read_text() == "short"
    run_folder.cut(tmp_path, {})
    assert not history.exists()
    run_folder.cut(tmp_path, {"history.csv": 5})
    assert run_folder.lengths(tmp_path) == {}


def test_what_a_killed_run_has_half_written_is_removed_and_what_it_appended_is_cut(tmp_path):
    history, events = tmp_path / "history.csv", tmp_path / "train/events.out.tfevents.1"
    for path in (history, events):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"kept")
    kept = run_folder.lengths(tmp_path)
    assert kept == {"history.csv": 4, "train/events.out.tfevents.1": 4}
    for path in (history, events):
        path.write_bytes(b"kept and more")
    later = tmp_path / "train/events.out.tfevents.2"
    for half in (".part-model.keras", "checkpoints/.part-step-1.npz", "train/events.out.tfevents.2"):
        (tmp_path / half).parent.mkdir(exist_ok=True)
        (tmp_path / half).write_bytes(b"half")
    (tmp_path / "export/.part-1/.part-2").mkdir(parents=True)  # an export was killed
    (tmp_path / "export/.part-1/model.tflite").touch()
    run_folder.cut(tmp_path, kept)
    assert history.read_bytes() == events.read_bytes() == b"kept"
    assert not later.exists()
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".part-")]
